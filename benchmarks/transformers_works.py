"""Do the benchmark's work with transformers on PyTorch, and with peft for LoRA."""

from benchmarks.keras_works import PROMPT, STEPS, fastest, repeated, timed, token_dict


class TransformersWorks:
    """The works, by the calls that users of transformers know.

    Args:
        folder: a checkpoint.
        dtype: of the model.
    """

    def __init__(self, folder, dtype="float32"):
        self.folder, self.dtype = folder, dtype

    def load(self):
        """Load the model with the checkpoint's weights."""
        import torch
        from transformers import FalconForCausalLM

        model = FalconForCausalLM.from_pretrained(self.folder, dtype=getattr(torch, self.dtype))
        return model.eval()

    def decode(self, new_tokens=32):
        """Measure the seconds per token, from the second call on."""
        model = self.load()
        return repeated(lambda: self._generate(model, new_tokens), 3) / new_tokens

    def first_generate(self):
        """Measure the seconds of a first call."""
        model = self.load()
        return timed(lambda: self._generate(model, 32))

    def _generate(self, model, new_tokens):
        import torch

        ids = torch.arange(2, 2 + PROMPT)[None]
        model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            min_new_tokens=new_tokens,
            max_new_tokens=new_tokens,
        )

    def prefill(self, tokens=512):
        """Measure the seconds of one forward pass to the last hidden states."""
        import torch

        model = self.load()
        ids = torch.tensor(token_dict(1, tokens, model.config.vocab_size)["token_ids"])

        def forward():
            with torch.no_grad():
                model.transformer(ids)

        return repeated(forward, 3)

    def train(self, batch=32, tokens=128):
        """Measure the tokens per second of a plain loop with AdamW."""
        return self._loop(self.load(), batch, tokens)

    def lora(self, batch=4, tokens=128):
        """Measure the tokens per second on factors of rank 8 in peft's default target."""
        from peft import LoraConfig, get_peft_model

        config = LoraConfig(r=8, lora_alpha=8, target_modules=["query_key_value"])
        return self._loop(get_peft_model(self.load(), config), batch, tokens)

    def _loop(self, model, batch, tokens):
        import torch

        model.train()
        vocabulary_size = model.config.vocab_size
        ids = torch.tensor(token_dict(batch * STEPS, tokens, vocabulary_size)["token_ids"]).long()
        trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(trainable, lr=1e-4)

        def epoch():
            for rows in ids.split(batch):
                optimizer.zero_grad()
                model(input_ids=rows, labels=rows).loss.backward()
                optimizer.step()

        return batch * tokens * STEPS / fastest(epoch, 3)
