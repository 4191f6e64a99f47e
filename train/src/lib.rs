//! Contrastive fine-tuning of CLIP for product retrieval: model, loss, loop and the vlclip command.
