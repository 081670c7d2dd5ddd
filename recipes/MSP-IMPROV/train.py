"""Train EmoSphere-SER on MSP-IMPROV.

For help, run: python recipes/MSP-IMPROV/train.py --help
"""

import sys

from emosphere_sb.recipe.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], corpus="MSP-IMPROV"))
