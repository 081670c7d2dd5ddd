"""Train EmoSphere-SER on your own data.

For help, run: python recipes/OwnData/train.py --help
"""

import sys

from emosphere_sb.recipe.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], corpus="OwnData"))
