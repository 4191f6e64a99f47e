//! Retrieval metrics, exact search and reports over embedding matrices.
