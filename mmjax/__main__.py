"""`python -m mmjax` is the `mmjax` command."""

from mmjax.cli.app import main

if __name__ == "__main__":
    main()
