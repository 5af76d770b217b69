//! hnsw
