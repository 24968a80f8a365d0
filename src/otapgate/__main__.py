"""`python -m otapgate` is `otapgate`."""

from otapgate.cli import main

if __name__ == "__main__":
    main()
