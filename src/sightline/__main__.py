"""``python -m sightline`` and the ``sightline`` command."""

import os


def main() -> None:
    """Run the command line.

    Its matrices are small, and many pictures are read side by side: threads of numpy's OpenBLAS would wait
    for each other in loops that take half of the processors. Whoever sets the variable has said otherwise.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is loaded
    from sightline.cli.main import cli  # noqa: PLC0415 - keeps `import sightline` free of everything

    cli()


if __name__ == "__main__":
    main()
