"""Adapters of peft before and after the conversion: the same function, learnt n trained, saved and loaded with them."""

import pytest
import torch

transformers = pytest.importorskip("transformers")

from hopfield_theory.attention.transformers import convert  # noqa: E402

IDS = torch.randint(3, 50, (2, 6), generator=torch.Generator().manual_seed(1))
# peft still asks transformers by a deprecated name
pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("trained"),
    pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning"),
]
LEARNT = ["outeffhop_slot", "outeffhop_gate"]


def base():
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        hidden_size=16, num_attention_heads=4, num_key_value_heads=2, num_hidden_layers=2, intermediate_size=16,
        vocab_size=50, pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    return transformers.LlamaForCausalLM(config).double().eval()


def adapted(model, modules_to_save=None):
    """An adapter that is not the identity, as it would be at its start."""
    # some seconds of import, which a run of other tests is spared
    peft = pytest.importorskip("peft")
    torch.manual_seed(1)
    options = {"target_modules": ["q_proj", "v_proj"], "init_lora_weights": False, "modules_to_save": modules_to_save}
    return peft.get_peft_model(model, peft.LoraConfig(task_type="CAUSAL_LM", **options)).eval()


def logits(model):
    with torch.no_grad():
        return model(input_ids=IDS).logits


def trained(model):
    optimiser = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.5)
    for _ in range(3):
        optimiser.zero_grad()
        model(input_ids=IDS, labels=IDS).loss.backward()
        optimiser.step()
    return model


def test_before_and_after_the_conversion_are_one():
    first = adapted(base())
    dense = logits(first)
    conversion = convert(first, noop=3.0)
    assert conversion.attention
    second = base()
    convert(second, noop=3.0)
    second = adapted(second)
    assert torch.equal(logits(first), logits(second))
    assert not torch.allclose(logits(first), dense)
    # merged into the weights the adapter is the same function, and without the conversion the model is its own
    torch.testing.assert_close(logits(second.merge_and_unload()), logits(first))
    conversion.undo()
    assert torch.equal(logits(first), dense)


def test_only_what_is_named_beside_the_adapter_is_trained():
    model = base()
    convert(model, noop=1.0, learn_noop=True)
    frozen = adapted(model)
    assert not any(p.requires_grad for name, p in frozen.named_parameters() if "outeffhop" in name)
    model = base()
    convert(model, noop=1.0, learn_noop=True, gate=True)
    named = adapted(model, LEARNT)
    learning = {name for name, p in named.named_parameters() if p.requires_grad}
    assert all("lora_" in name or "modules_to_save" in name for name in learning)
    assert sum("outeffhop_slot.modules_to_save" in name for name in learning) == 2
    before = {name: p.detach().clone() for name, p in named.named_parameters()}
    trained(named)
    changed = {name for name, p in named.named_parameters() if not torch.equal(p, before[name])}
    assert {name for name in learning if "outeffhop" in name} <= changed <= learning


@pytest.mark.parametrize("adapter_first", [False, True])
def test_a_saved_adapter_brings_its_learnt_masses_back(tmp_path, adapter_first):
    model = base()
    options = {"noop": 2.0, "learn_noop": True, "gate": True}
    if adapter_first:
        # peft knows nothing of modules that are added later: they are trained, but are no part of the adapter
        model = adapted(model)
        convert(model, **options)
    else:
        convert(model, **options)
        model = adapted(model, LEARNT)
    trained(model)
    expected = logits(model)
    model.save_pretrained(tmp_path)
    again = base()
    convert(again, **options)
    loaded = logits(pytest.importorskip("peft").PeftModel.from_pretrained(again, tmp_path).eval())
    assert torch.equal(loaded, expected) != adapter_first
    if adapter_first:
        slots = [p for name, p in model.named_parameters() if "outeffhop_slot" in name]
        assert len(slots) == 2
        assert all(p.requires_grad and (p - torch.tensor(2.0).log()).abs().max() > 1e-4 for p in slots)
