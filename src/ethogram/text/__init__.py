"""Words without a language model: splitting, BM25, dense retrieval, their metrics, classifiers, a shared text table."""
