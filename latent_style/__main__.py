"`python -m latent_style`: the command line"
import sys

from latent_style.cli import main

if __name__ == '__main__': sys.exit(main())
