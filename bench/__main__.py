"""``python -m bench``: the folder where it is called lends it no modules."""

from bench.base.checkout import leave_current_folder

if __name__ == "__main__":
    leave_current_folder()
    from bench.cli.main import main

    main()
