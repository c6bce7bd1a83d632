"""Parts of `scripts/looks.py`: pairs of pictures, painters, measures of paintings, and blind sheets."""
