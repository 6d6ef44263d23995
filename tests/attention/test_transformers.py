"""Backends in small random models, against references written out here: masks, caches, weights, gates, undoing."""

import copy
import math
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

transformers = pytest.importorskip("transformers")

from transformers import (  # noqa: E402
    AutoModel,
    AutoModelForCausalLM,
    BertConfig,
    GptOssConfig,
    LlamaConfig,
    OPTConfig,
    Qwen2Config,
    ViTConfig,
)

from hopfield_theory.attention import softmax_n_attention  # noqa: E402
from hopfield_theory.attention.transformers import convert, register  # noqa: E402

SMALL = {"hidden_size": 16, "num_attention_heads": 4, "num_hidden_layers": 2, "intermediate_size": 16}
TEXT = {"vocab_size": 50, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}


def configuration(name):
    return {
        "bert": lambda: BertConfig(**SMALL, **TEXT, attention_probs_dropout_prob=0.0, hidden_dropout_prob=0.0),
        "opt": lambda: OPTConfig(
            **TEXT,
            hidden_size=16,
            num_attention_heads=4,
            num_hidden_layers=2,
            ffn_dim=16,
            word_embed_proj_dim=16,
            max_position_embeddings=64,
        ),
        "vit": lambda: ViTConfig(**SMALL, image_size=8, patch_size=4),
        "llama": lambda: LlamaConfig(**SMALL, **TEXT, num_key_value_heads=2),
        "qwen": lambda: Qwen2Config(**SMALL, **TEXT, num_key_value_heads=2),
    }[name]()


FAMILIES = ("bert", "opt", "vit", "llama", "qwen")
DECODERS = ("opt", "llama", "qwen")


def model_of(name, implementation, noop=1.0, of=AutoModel):
    register()
    torch.manual_seed(0)
    config = configuration(name)
    config.outeffhop_noop = noop
    return of.from_config(config, attn_implementation=implementation).double().eval()


def batch(name):
    generator = torch.Generator().manual_seed(1)
    if name == "vit":
        return {"pixel_values": torch.randn(2, 3, 8, 8, generator=generator, dtype=torch.float64)}
    mask = torch.ones(2, 6, dtype=torch.int64)
    # padding on the left, as generation needs it
    mask[1, :2] = 0
    return {"input_ids": torch.randint(3, 50, (2, 6), generator=generator), "attention_mask": mask}


def reference(noop, clip=(0.0, 1.0)):
    """An eager attention function with the slot as a column of its own, and PyTorch's softmax."""

    def attend(module, query, key, value, attention_mask, scaling=None, dropout=0.0, **_):
        groups = query.shape[1] // key.shape[1]
        key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
        scores = query @ key.mT * (query.shape[-1] ** -0.5 if scaling is None else scaling)
        if attention_mask is not None:
            scores = scores + attention_mask
        slot = torch.full((*scores.shape[:-1], 1), math.log(noop) if noop else -math.inf, dtype=scores.dtype)
        weights = torch.cat([scores, slot], -1).softmax(-1)[..., :-1]
        weights = ((clip[1] - clip[0]) * weights + clip[0]).clamp(0, 1)
        return (weights @ value).transpose(1, 2).contiguous(), weights

    return attend


def referenced(model, noop, clip=(0.0, 1.0)):
    """A copy of a model that runs the reference, with transformers' own eager masks."""
    transformers.AttentionInterface.register("reference", reference(noop, clip))
    transformers.AttentionMaskInterface.register("reference", transformers.masking_utils.eager_mask)
    twin = copy.deepcopy(model)
    for module in twin.modules():
        if hasattr(module, "config"):
            module.config._attn_implementation = "reference"
    return twin


def seen(name, output):
    hidden = output.last_hidden_state
    # what stands at padding is nobody's business
    return hidden if name == "vit" else hidden[batch(name)["attention_mask"].bool()]


@pytest.mark.parametrize("noop", [0.0, 1.0, 7.0])
@pytest.mark.parametrize("implementation", ["outeffhop", "outeffhop_eager"])
@pytest.mark.parametrize("name", FAMILIES)
def test_each_family_against_the_reference(name, implementation, noop):
    model = model_of(name, implementation, noop)
    expected = referenced(model, noop)(**batch(name))
    torch.testing.assert_close(seen(name, model(**batch(name))), seen(name, expected), rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", FAMILIES)
def test_n_zero_is_the_model_itself(name):
    model = model_of(name, "outeffhop", 0.0)
    own = seen(name, model(**batch(name)))
    model.set_attn_implementation("sdpa")
    torch.testing.assert_close(own, seen(name, model(**batch(name))), rtol=0, atol=1e-9)
    model.set_attn_implementation("outeffhop")
    model.config.outeffhop_noop = 1.0
    assert (seen(name, model(**batch(name))) - own).abs().max() > 1e-3


@pytest.mark.parametrize("name", ["bert", "llama"])
def test_masks_reach_the_attention(name):
    """Padding does not change what is not padding, and in a decoder later tokens do not change earlier ones."""
    model = model_of(name, "outeffhop")
    inputs = batch(name)
    changed = inputs["input_ids"].clone()
    changed[1, :2] = 9
    other = {**inputs, "input_ids": changed}
    torch.testing.assert_close(seen(name, model(**inputs)), seen(name, model(**other)), rtol=0, atol=1e-12)
    unpadded = {"input_ids": inputs["input_ids"][:1]}
    later = unpadded["input_ids"].clone()
    later[0, -1] = 9
    first, second = (model(input_ids=ids).last_hidden_state[0, :-1] for ids in (unpadded["input_ids"], later))
    assert torch.allclose(first, second, atol=1e-12) == (name == "llama")


@pytest.mark.parametrize("implementation", ["outeffhop", "outeffhop_eager", "outeffhop_clipped"])
@pytest.mark.parametrize("name", DECODERS)
def test_generation_with_a_cache_is_the_full_pass(name, implementation):
    model = model_of(name, implementation, 3.0, AutoModelForCausalLM)
    ids = batch(name)["input_ids"][:1]
    with torch.no_grad():
        whole = model(ids).logits
        cache, steps = None, []
        for t in range(ids.shape[1]):
            out = model(ids[:, t : t + 1], cache=cache, use_cache=True)
            cache = out.cache
            steps.append(out.logits)
        torch.testing.assert_close(torch.cat(steps, 1), whole, rtol=0, atol=1e-9)
        options = {"max_new_tokens": 5, "do_sample": False, "pad_token_id": 0}
        cached = model.generate(**batch(name), **options, use_cache=True)
        assert torch.equal(cached, model.generate(**batch(name), **options, use_cache=False))


@pytest.mark.parametrize("name", FAMILIES)
def test_weights_are_returned_where_they_are_promised(name):
    model = model_of(name, "outeffhop_eager", 2.0)
    attentions = model(**batch(name), output_attentions=True).attentions
    expected = referenced(model, 2.0)(**batch(name), output_attentions=True).attentions
    assert len(attentions) == 2
    for own, other in zip(attentions, expected, strict=True):
        rows = (
            own.isfinite().all(-1)
            if name == "vit"
            else batch(name)["attention_mask"].bool()[:, None].expand(own.shape[:3])
        )
        torch.testing.assert_close(own[rows], other[rows], rtol=0, atol=1e-9)
        assert (own[rows].sum(-1) < 1).all()
    assert not any(
        a is not None for a in model_of(name, "outeffhop")(**batch(name), output_attentions=True).attentions or []
    )


@pytest.mark.parametrize("name", FAMILIES)
def test_clipped_softmax(name):
    register()
    model = model_of(name, "outeffhop", 1.0)
    conversion = convert(model, noop=1.0, clip=(-0.25, 1.1))
    out = model(**batch(name), output_attentions=True)
    expected = referenced(model, 1.0, (-0.25, 1.1))(**batch(name))
    torch.testing.assert_close(seen(name, out), seen(name, expected), rtol=0, atol=1e-9)
    assert any((a == 0).any() for a in out.attentions)
    conversion.undo()


def test_clipped_softmax_by_length():
    model = model_of("bert", "sdpa")
    convert(model, noop=0.0, alpha=1.5)
    # the second row sees four keys, two are padding
    for row, keys in enumerate((6, 4)):
        rows = {name: value[row : row + 1, -keys:] for name, value in batch("bert").items()}
        expected = referenced(model, 0.0, (-1.5 / keys, 1.0))(**rows).last_hidden_state
        torch.testing.assert_close(model(**rows).last_hidden_state, expected, rtol=0, atol=1e-9)
    model.outeffhop_conversion.undo()
    decoder = model_of("llama", "sdpa", of=AutoModelForCausalLM)
    convert(decoder, noop=1.0, alpha=2.0)
    ids = batch("llama")["input_ids"][:1]
    whole, cache, steps = decoder(ids).logits, None, []
    for t in range(ids.shape[1]):
        out = decoder(ids[:, t : t + 1], cache=cache, use_cache=True)
        cache, steps = out.cache, [*steps, out.logits]
    torch.testing.assert_close(torch.cat(steps, 1), whole, rtol=0, atol=1e-9)


# --- converting a model in hand ---


@pytest.mark.parametrize("name", FAMILIES)
def test_a_model_in_hand_is_switched_and_switched_back(name):
    model = model_of(name, "sdpa")
    config, before, state = model.config, model(**batch(name)).last_hidden_state, set(model.state_dict())
    conversion = convert(model, noop=5.0, learn_noop=True, gate=True, gate_hidden=3)
    assert len(conversion.attention) == 2
    assert model.config is not config
    assert config._attn_implementation == "sdpa"
    assert not hasattr(config, "outeffhop_gamma")
    assert not torch.allclose(model(**batch(name)).last_hidden_state, before)
    assert set(model.state_dict()) > state
    with pytest.raises(ValueError, match="converted already"):
        convert(model)
    conversion.undo()
    conversion.undo()
    assert model.config is config
    assert set(model.state_dict()) == state
    assert torch.equal(model(**batch(name)).last_hidden_state, before)
    assert all(not module._forward_pre_hooks for module in model.modules())


@pytest.mark.parametrize("name", FAMILIES)
def test_a_learnt_slot_starts_at_n_and_learns(name):
    model = model_of(name, "sdpa")
    conversion = convert(model, noop=2.0, learn_noop=True)
    expected = referenced(model, 2.0)(**batch(name))
    out = model(**batch(name))
    torch.testing.assert_close(seen(name, out), seen(name, expected), rtol=0, atol=1e-9)
    seen(name, out).square().sum().backward()
    for module in conversion.attention.values():
        assert (module.outeffhop_slot.bias.grad != 0).any()
    with torch.no_grad():
        for module in conversion.attention.values():
            module.outeffhop_slot.bias.fill_(math.log(9.0))
    expected = referenced(model, 9.0)(**batch(name))
    torch.testing.assert_close(seen(name, model(**batch(name))), seen(name, expected), rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", FAMILIES)
def test_gates_multiply_the_heads(name):
    """With a gate of one half everywhere, each head's output is halved: as if the values were."""
    model = model_of(name, "sdpa")
    halved = copy.deepcopy(model)
    for module in halved.modules():
        value = getattr(module, "value", getattr(module, "v_proj", None))
        if isinstance(value, torch.nn.Linear):
            with torch.no_grad():
                for parameter in value.parameters():
                    parameter.mul_(0.5)
    conversion = convert(model, noop=0.0, gate=True, initial_gate=0.5)
    for module in conversion.attention.values():
        with torch.no_grad():
            module.outeffhop_gate.weights[0].zero_()
    torch.testing.assert_close(seen(name, model(**batch(name))), seen(name, halved(**batch(name))), rtol=0, atol=1e-9)
    model(**batch(name)).last_hidden_state.sum().backward()
    assert all((m.outeffhop_gate.weights[0].grad != 0).any() for m in conversion.attention.values())
    assert all("_outeffhop_gates" not in vars(m) for m in conversion.attention.values())


def test_dropout_in_training_alone():
    torch.manual_seed(0)
    config = BertConfig(**SMALL, **TEXT, attention_probs_dropout_prob=0.5, hidden_dropout_prob=0.0)
    for implementation in ("outeffhop", "outeffhop_eager"):
        register()
        model = AutoModel.from_config(config, attn_implementation=implementation).double()
        first, second = (model(**batch("bert")).last_hidden_state for _ in range(2))
        assert not torch.equal(first, second)
        model.eval()
        assert torch.equal(*(model(**batch("bert")).last_hidden_state for _ in range(2)))


def test_a_saved_configuration_keeps_n(tmp_path):
    model = model_of("bert", "outeffhop", 4.0)
    expected = model(**batch("bert")).last_hidden_state
    model.save_pretrained(tmp_path)
    again = AutoModel.from_pretrained(tmp_path, attn_implementation="outeffhop", dtype=torch.float64).eval()
    assert again.config.outeffhop_noop == 4.0
    torch.testing.assert_close(again(**batch("bert")).last_hidden_state, expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"noop": -1.0}, "noop is -1.0"),
        ({"noop": 0.0, "learn_noop": True}, "noop is 0.0"),
        ({"noop": math.inf}, "noop is inf"),
        ({"clip": (0.1, 1.0)}, "gamma is 0.1"),
        ({"clip": (-0.1, 1.0), "alpha": 1.0}, "stands in place of gamma"),
        ({"clip": (-0.1, 1.0, 1.0)}, r"clip is \(-0.1, 1.0, 1.0\): it must be two numbers"),
        ({"clip": 5}, "clip is 5: it must be two numbers"),
        ({"clip": (None, 1.0)}, "gamma is None: it must be a number"),
        ({"gate": True, "initial_gate": 1.0}, "initial_gate is 1.0"),
        ({"gate": "on"}, "gate is 'on': it must be True"),
        ({"gate_hidden": 4}, "gate_hidden is 4: it belongs to gate, which is None"),
        ({"gate": False, "initial_gate": 0.25}, "initial_gate is 0.25: it belongs to gate, which is False"),
    ],
)
def test_what_is_refused_changes_nothing(arguments, message):
    model = model_of("bert", "sdpa")
    before = model(**batch("bert")).last_hidden_state
    with pytest.raises((ValueError, TypeError), match=message):
        convert(model, **arguments)
    assert torch.equal(model(**batch("bert")).last_hidden_state, before)
    convert(model).undo()


def test_a_model_without_attention_is_refused():
    with pytest.raises(ValueError, match="Linear has no attention module"):
        convert(torch.nn.Linear(2, 2))


def test_a_model_that_computes_its_attention_itself_is_refused_and_untouched():
    """It would go on as before, with masks that it does not understand."""
    config = transformers.BigBirdConfig(**SMALL, **TEXT, attention_type="original_full")
    model = transformers.BigBirdModel(config).eval()
    with pytest.raises(ValueError, match="BigBirdModel computes its attention itself"):
        convert(model)
    assert model.config is config
    assert not hasattr(config, "outeffhop_noop")


def test_a_second_conversion_is_refused_whatever_the_first_added():
    model = model_of("bert", "sdpa")
    before = model(**batch("bert")).last_hidden_state
    convert(model, noop=1.0)
    with pytest.raises(ValueError, match="converted already"):
        convert(model, noop=5.0)
    twin = copy.deepcopy(model)
    model.outeffhop_conversion.undo()
    assert torch.equal(model(**batch("bert")).last_hidden_state, before)
    assert not torch.equal(twin(**batch("bert")).last_hidden_state, before)
    twin.outeffhop_conversion.undo()
    assert torch.equal(twin(**batch("bert")).last_hidden_state, before)


def test_learnt_slots_are_loaded_into_a_model_converted_alike():
    model = model_of("bert", "sdpa")
    conversion = convert(model, learn_noop=True, gate=True)
    with torch.no_grad():
        for module in conversion.attention.values():
            module.outeffhop_slot.bias.fill_(2.0)
    other = model_of("bert", "sdpa")
    convert(other, learn_noop=True, gate=True)
    other.load_state_dict(model.state_dict())
    assert torch.equal(other(**batch("bert")).last_hidden_state, model(**batch("bert")).last_hidden_state)


@pytest.mark.parametrize("eager", [False, True])
def test_sinks_of_the_model_s_own_stay(eager):
    torch.manual_seed(0)
    sizes = {"head_dim": 4, "num_key_value_heads": 2, "num_local_experts": 2, "num_experts_per_tok": 1}
    config = GptOssConfig(**SMALL, **TEXT, **sizes, attn_implementation="eager")
    model = transformers.GptOssModel(config).eval()
    with torch.no_grad():
        for layer in model.layers:
            layer.self_attn.sinks.normal_()
    expected = model(**batch("llama")).last_hidden_state
    convert(model, noop=0.0, eager=eager)
    visible = batch("llama")["attention_mask"].bool()
    own = model(**batch("llama")).last_hidden_state
    # float32, which its experts need
    torch.testing.assert_close(own[visible], expected[visible], rtol=0, atol=1e-5)


@pytest.mark.parametrize("eager", [False, True])
def test_soft_caps_are_kept(eager):
    sizes = {"head_dim": 4, "num_key_value_heads": 2, "attn_logit_softcapping": 0.5}
    config = transformers.Gemma2Config(**SMALL, **TEXT, **sizes, attn_implementation="eager")
    model = transformers.Gemma2Model(config).eval()
    # raises if the converted model differs from the one with its caps
    assert len(convert(model, noop=0.0, eager=eager, example=batch("llama")).attention) == len(model.layers)


@pytest.mark.parametrize("name", ["a_new_feature", "sparse_rows"])
def test_a_keyword_without_a_known_meaning_is_refused(name):
    model = model_of("llama", "outeffhop")
    with pytest.raises(ValueError, match=f"its attention is given {name}"):
        model(**batch("llama"), **{name: torch.ones(1)})
    model(**batch("llama"), **{name: None})


# --- models that compute their attention themselves, in part or in whole ---

ITSELF = {
    "bloom": lambda: transformers.BloomConfig(hidden_size=16, n_layer=1, n_head=4, vocab_size=50),
    "gpt_neo": lambda: transformers.GPTNeoConfig(
        hidden_size=16, num_layers=1, num_heads=4, vocab_size=50, attention_types=[[["global"], 1]]
    ),
    "mpt": lambda: transformers.MptConfig(d_model=16, n_layers=1, n_heads=4, vocab_size=50),
    "deberta": lambda: transformers.DebertaConfig(**SMALL, vocab_size=50),
    "swin": lambda: transformers.Swinv2Config(image_size=8, patch_size=2, embed_dim=8, depths=[1], num_heads=[2]),
    "mra": lambda: transformers.MraConfig(**SMALL, vocab_size=50),
    # its image encoder asks transformers, its text decoder does not
    "git": lambda: transformers.GitConfig(**SMALL, vocab_size=50, vision_config=SMALL),
}


@pytest.mark.parametrize("name", ITSELF)
def test_a_model_that_computes_its_attention_itself_is_refused_on_every_route(name, tmp_path):
    register()
    config = ITSELF[name]()
    of = AutoModel
    plain = of.from_config(config)
    plain.save_pretrained(tmp_path)
    routes = [
        lambda: of.from_config(copy.deepcopy(config), attn_implementation="outeffhop"),
        lambda: of.from_pretrained(tmp_path, attn_implementation="outeffhop_eager"),
        lambda: plain.set_attn_implementation("outeffhop"),
        lambda: convert(plain),
    ]
    for route in routes:
        with pytest.raises(ValueError, match=r"computes? (its|their) attention (itself|themselves)"):
            route()
    assert plain.config._attn_implementation not in ("outeffhop", "outeffhop_eager")


@pytest.mark.parametrize("name", ["bloom", "deberta", "swin"])
def test_the_implementation_cannot_be_written_into_the_configuration_either(name):
    register()
    config = ITSELF[name]()
    with pytest.raises(ValueError, match="compute their attention themselves"):
        config._attn_implementation = "outeffhop"
    assert config._attn_implementation != "outeffhop"


def other(name):
    torch.manual_seed(0)
    text = {"input_ids": torch.randint(3, 50, (2, 6))}
    encoder_decoder = {
        "d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 4,
        "decoder_attention_heads": 4, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16, **TEXT,
    }  # fmt: skip
    clip = {**SMALL, "num_hidden_layers": 1}
    pixels = {"pixel_values": torch.randn(2, 3, 8, 8)}
    return {
        "bart": lambda: (
            transformers.BartModel(transformers.BartConfig(**encoder_decoder)),
            {**text, "decoder_input_ids": text["input_ids"]},
        ),
        "layoutlm": lambda: (transformers.LayoutLMModel(transformers.LayoutLMConfig(**SMALL, **TEXT)), text),
        "gpt2": lambda: (
            transformers.GPT2Model(transformers.GPT2Config(n_embd=16, n_layer=1, n_head=4, vocab_size=50)), text
        ),
        "neox": lambda: (transformers.GPTNeoXModel(transformers.GPTNeoXConfig(**SMALL, **TEXT)), text),
        "t5": lambda: (
            transformers.T5Model(
                transformers.T5Config(d_model=16, d_kv=4, d_ff=16, num_layers=2, num_heads=4, vocab_size=50)
            ),
            {**text, "decoder_input_ids": text["input_ids"]},
        ),
        "clip": lambda: (
            transformers.CLIPModel(
                transformers.CLIPConfig(
                    text_config={**clip, **TEXT},
                    vision_config={**clip, "image_size": 8, "patch_size": 4},
                    projection_dim=8,
                )
            ),
            {**text, **pixels},
        ),
        "vit_mae": lambda: (
            transformers.ViTMAEForPreTraining(
                transformers.ViTMAEConfig(
                    **SMALL, image_size=8, patch_size=4, decoder_num_attention_heads=4, decoder_hidden_size=16,
                    decoder_num_hidden_layers=1, decoder_intermediate_size=16,
                )
            ),
            pixels,
        ),
        "deepseek": lambda: (
            transformers.DeepseekV32Model(
                transformers.DeepseekV32Config(
                    **SMALL, **TEXT, q_lora_rank=8, kv_lora_rank=8, qk_rope_head_dim=4, qk_nope_head_dim=4,
                    v_head_dim=8, index_n_heads=2, index_head_dim=8, index_topk=3, n_routed_experts=4, n_group=1,
                    topk_group=1, num_experts_per_tok=2, moe_intermediate_size=8,
                )
            ),
            text,
        ),
    }[name]()  # fmt: skip


OTHERS = ("bart", "layoutlm", "gpt2", "neox", "t5", "clip", "vit_mae", "deepseek")


@pytest.mark.parametrize("name", OTHERS)
def test_a_conversion_is_proved_on_an_example(name):
    model, example = other(name)
    before = model.eval()(**example)
    conversion = convert(model, noop=100.0, example=example)
    assert conversion.attention
    if name != "vit_mae":  # it draws the patches that it hides
        assert not torch.allclose(model(**example)[0], before[0], atol=1e-4)
        conversion.undo()
        assert torch.equal(model(**example)[0], before[0])


@pytest.mark.parametrize("name", OTHERS)
def test_slots_and_gates_survive_saving(name, tmp_path):
    model, example = other(name)
    if name == "deepseek":
        pytest.skip("its queries come from a compressed state, of another size than the hidden one")
    conversion = convert(model, noop=2.0, learn_noop=True, gate={"per": "head"}, clip=(-0.1, 1.0))
    with torch.no_grad():
        for module in conversion.attention.values():
            module.outeffhop_slot.bias.normal_()
            for parameter in module.outeffhop_gate.parameters():
                parameter.normal_()
    model.eval().save_pretrained(tmp_path)
    again = type(model).from_pretrained(tmp_path).eval()
    state, restored = model.state_dict(), again.state_dict()
    assert list(state) == list(restored)
    assert all(torch.equal(state[key], restored[key]) for key in state)
    torch.manual_seed(3)
    expected = model(**example)[0]
    torch.manual_seed(3)
    torch.testing.assert_close(again(**example)[0], expected)
    # a second conversion keeps what the configuration holds
    held = convert(again)
    assert held.attention.keys() == conversion.attention.keys()
    torch.manual_seed(3)
    torch.testing.assert_close(again(**example)[0], expected)


def test_gates_of_a_dense_checkpoint_start_at_their_initial_value(tmp_path):
    model = model_of("bert", "sdpa").float()
    model.save_pretrained(tmp_path)
    config = transformers.AutoConfig.from_pretrained(tmp_path)
    config.outeffhop_learn_noop, config.outeffhop_noop, config.outeffhop_gate = True, 3.0, {"initial_gate": 0.25}
    loaded = AutoModel.from_pretrained(tmp_path, config=config, attn_implementation="outeffhop")
    for layer in loaded.encoder.layer:
        torch.testing.assert_close(layer.attention.self.outeffhop_slot.bias, torch.full((4, 1, 1), math.log(3.0)))
        gate = layer.attention.self.outeffhop_gate
        torch.testing.assert_close(gate.biases[0], torch.full((4, 1, 1), -math.log(3.0)))
        assert 0 < gate.weights[0].abs().max() <= 0.5


@pytest.mark.slow
@pytest.mark.xdist_group("trained")
def test_a_saved_model_is_not_loaded_as_plain_softmax_where_nothing_is_registered(tmp_path, monkeypatch):
    model = model_of("bert", "sdpa")
    convert(model)
    model.save_pretrained(tmp_path)
    monkeypatch.delitem(transformers.AttentionInterface._global_mapping, "outeffhop")
    with pytest.raises(ValueError, match='attn_implementation="outeffhop"` is not supported'):
        transformers.AutoModel.from_pretrained(tmp_path)


@pytest.mark.parametrize("where", ["above", "below"])
def test_options_reach_every_attention_below_unless_it_has_its_own(where):
    register()
    outputs = []
    for noop in (0.0, 100.0):
        model, example = other("clip")
        config = model.config
        config._attn_implementation = "outeffhop"
        config.outeffhop_noop = noop
        if where == "below":
            config.text_config.outeffhop_noop = 1.0
        torch.manual_seed(0)
        model = transformers.CLIPModel._from_config(config, attn_implementation="outeffhop").eval()
        outputs.append(model(**example))
    text, image = (torch.equal(outputs[0][k], outputs[1][k]) for k in ("text_embeds", "image_embeds"))
    assert (text, image) == (where == "below", False)


class Adapted(torch.nn.Module):
    def __init__(self, base_layer):
        super().__init__()
        self.base_layer = base_layer

    def forward(self, x):
        return self.base_layer(x)


@pytest.mark.parametrize("layers", [(0,), (0, 1)])
def test_adapters_hide_nothing(layers):
    model = model_of("llama", "sdpa")
    for index in layers:
        attention = model.layers[index].self_attn
        attention.q_proj = Adapted(attention.q_proj)
    conversion = convert(model, gate=True, learn_noop=True, example=batch("llama"))
    assert len(conversion.attention) == 2
    # as PEFT saves and trains a module beside an adapter
    for module in conversion.attention.values():
        module.outeffhop_slot = Adapted(module.outeffhop_slot)
        module.outeffhop_slot.forward = module.outeffhop_slot.base_layer.forward
        module.outeffhop_gate = Adapted(module.outeffhop_gate)
    model(**batch("llama")).last_hidden_state.sum().backward()
    assert all(m.outeffhop_slot.base_layer.bias.grad is not None for m in conversion.attention.values())


@pytest.mark.parametrize("wrap", [torch.nn.Sequential, torch.nn.DataParallel])
def test_a_module_that_holds_a_model_is_converted(wrap):
    model = model_of("bert", "sdpa")
    ids = batch("bert")["input_ids"]
    before = model(ids)[0]
    conversion = convert(wrap(model), noop=9.0, example=ids)
    assert len(conversion.attention) == 2
    after = model(ids)[0]
    assert not torch.allclose(after, before)
    torch.testing.assert_close(after, referenced(model, 9.0)(ids)[0])
    conversion.undo()
    assert torch.equal(model(ids)[0], before)


def test_an_example_that_leaves_a_module_out_undoes_the_conversion():
    model, example = other("clip")
    before = model.eval().get_text_features(example["input_ids"]).pooler_output
    model.forward = model.get_text_features
    with pytest.raises(ValueError, match=r"does not reach vision_model"):
        convert(model, example={"input_ids": example["input_ids"]})
    assert torch.equal(model.get_text_features(example["input_ids"]).pooler_output, before)
    assert model.config._attn_implementation == "sdpa"


def test_learnt_numbers_are_free_of_weight_decay():
    from transformers.trainer_pt_utils import get_parameter_names

    model = model_of("bert", "sdpa")
    convert(model, learn_noop=True)
    decayed = get_parameter_names(model, [torch.nn.LayerNorm], [r"bias"])
    assert not [name for name in decayed if "outeffhop" in name]


def test_gates_belong_to_a_call():
    """Threads that run one gated model do not see the gates of each other."""
    model = model_of("llama", "sdpa")
    convert(model, gate=True)
    with torch.no_grad():
        for layer in model.layers:
            layer.self_attn.outeffhop_gate.weights[0].normal_()
        inputs = [torch.randint(3, 50, (1, 48)) for _ in range(4)]
        expected = [model(x).last_hidden_state for x in inputs]

        def wrong(index):
            with torch.no_grad():
                return sum(not torch.allclose(model(inputs[index])[0], expected[index]) for _ in range(20))

        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(wrong, range(4))) == [0] * 4


def test_queries_that_are_fewer_than_the_keys_are_the_last():
    """Gemma 4 gives its last layers the queries of ``logits_to_keep`` alone."""
    config = transformers.Gemma4TextConfig(
        **SMALL, **TEXT, num_key_value_heads=2, head_dim=4, global_head_dim=4, num_kv_shared_layers=1,
        layer_types=["full_attention", "full_attention"], hidden_size_per_layer_input=4, vocab_size_per_layer_input=50,
        attn_implementation="eager",
    )  # fmt: skip
    torch.manual_seed(0)
    model = transformers.Gemma4ForCausalLM(config).eval()
    ids = torch.randint(3, 50, (1, 12))
    expected = model(ids).logits
    convert(model, noop=0.0)
    for kept in (0, 1, 4):
        torch.testing.assert_close(model(ids, logits_to_keep=kept).logits, expected[:, -kept:], rtol=0, atol=1e-5)


# --- learnt sinks, as another model has them ---


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_n_is_the_exponential_of_a_sink(dtype):
    """The attention of gpt-oss, eager and small: outputs and gradients."""
    from transformers.models.gpt_oss.modeling_gpt_oss import eager_attention_forward

    torch.manual_seed(0)
    config = GptOssConfig(hidden_size=16, num_attention_heads=4, num_key_value_heads=2, head_dim=4, num_hidden_layers=1)
    module = torch.nn.Module()
    module.num_key_value_groups = config.num_attention_heads // config.num_key_value_heads
    module.sinks = torch.nn.Parameter(torch.randn(4, dtype=dtype))
    query = torch.randn(2, 4, 5, 4, dtype=dtype, requires_grad=True)
    key, value = (torch.randn(2, 2, 5, 4, dtype=dtype, requires_grad=True) for _ in range(2))
    mask = torch.zeros(5, 5, dtype=dtype).masked_fill(torch.ones(5, 5).triu(1).bool(), torch.finfo(dtype).min)
    theirs = eager_attention_forward(module, query, key, value, mask[None, None], scaling=0.5)[0]
    weight = torch.randn_like(theirs)
    inputs = (query, key, value, module.sinks)
    expected = torch.autograd.grad((theirs * weight).sum(), inputs)
    log_n = module.sinks[:, None, None]
    own = softmax_n_attention(query, key, value, is_causal=True, scale=0.5, enable_gqa=True, log_n=log_n).transpose(
        1, 2
    )
    allowed = 1e-5 if dtype == torch.float32 else 1e-12
    torch.testing.assert_close(own, theirs, rtol=0, atol=allowed)
    for one, other in zip(torch.autograd.grad((own * weight).sum(), inputs), expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=10 * allowed)


@pytest.mark.slow
@pytest.mark.xdist_group("trained")
def test_a_trainer_goes_on_where_it_stopped(tmp_path):
    pytest.importorskip("accelerate")
    rows = [{"input_ids": row, "labels": row} for row in torch.randint(3, 50, (40, 6))]

    def trained(folder, steps, resume):
        model = model_of("llama", "sdpa", of=AutoModelForCausalLM).float()
        convert(model, learn_noop=True, gate=True)
        options = transformers.TrainingArguments(
            str(folder), max_steps=steps, save_steps=3, per_device_train_batch_size=4, report_to=[], use_cpu=True
        )
        transformers.Trainer(model=model, args=options, train_dataset=rows).train(resume_from_checkpoint=resume)
        return model.state_dict()

    whole = trained(tmp_path / "whole", 5, None)
    resumed = trained(tmp_path / "whole", 5, str(tmp_path / "whole" / "checkpoint-3"))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
