"""Train EmoSphere-SER on IEMOCAP: python recipes/IEMOCAP/train.py hparams/emosphere.yaml …"""

import sys

from emosphere_sb.recipe.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], corpus="IEMOCAP"))
