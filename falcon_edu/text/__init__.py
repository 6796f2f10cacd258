"""Text in, token ids out, and back: byte level, tokenizer, preprocessor."""
