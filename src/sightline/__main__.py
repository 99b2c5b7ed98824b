"""``python -m sightline`` and the ``sightline`` command."""


def main() -> None:
    """Run the command line."""
    from sightline.cli.main import cli  # noqa: PLC0415 - keeps `import sightline` free of everything

    cli()


if __name__ == "__main__":
    main()
