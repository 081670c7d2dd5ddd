"""Train EmoSphere-SER on MSP-Podcast.

For help, run: python recipes/MSP-Podcast/train.py --help
"""

import sys

from emosphere_sb.recipe.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], corpus="MSP-Podcast"))
