"""`python -m notifier`: the same as the `notifier` command."""

from notifier.cli.main import main

if __name__ == "__main__":
    main()
