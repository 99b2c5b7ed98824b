"""What ``sightline doctor`` looks at: each check yields findings, and what is not fine names its fix."""
