//! Checkpoints on disk: atomic folders with a manifest, safetensors, retention.
