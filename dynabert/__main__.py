"""`python -m dynabert`."""

from dynabert.cli import main

if __name__ == "__main__":
    main()
