"""Tables from files or from scikit-learn, as numbers and a target, for ``python -m skae``.

A file goes through these steps: its text is unpacked and decoded (``_files``), its layout is told (``_layout``), it is
cut into cells (``_rows``), the cells of a column are read (``_column``), and the columns become a table of numbers
(``_dataset``). What is wrong with the columns is collected on the way (``_faults``).
"""

from ._dataset import Dataset
from ._load import BUNDLED, load
from ._words import printable

__all__ = ["BUNDLED", "Dataset", "load", "printable"]
