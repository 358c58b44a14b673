"""The same as `sppdet classify`: train, test or predict."""

from sppdet.cli.classify import main

if __name__ == "__main__":
    main()
