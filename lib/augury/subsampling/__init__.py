"""Efficient augmentation by data subsampling (Kuchnik & Smith, ICLR 2019): which training points to augment."""
