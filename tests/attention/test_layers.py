"""The layers: layouts, masks, updates, implicit gradients, energies, and weights of the other package."""

import inspect
import itertools
import math

import pytest
import torch

from hopfield_theory.attention import Hopfield, HopfieldLayer, HopfieldPooling, from_hflayers, softmax_n_weights
from hopfield_theory.model.fixed_point import differentiable


def layer(**arguments):
    torch.manual_seed(0)
    return Hopfield(6, **arguments).double()


def inputs(batch=2, length=4, stored=5, size=6, seed=1):
    generator = torch.Generator().manual_seed(seed)
    stored, state, value = (
        torch.randn(batch, rows, size, generator=generator, dtype=torch.float64) for rows in (stored, length, stored)
    )
    return stored, state, value


def plain(module, stored, state, value, visible=None, steps=0):
    """The layer, head by head and written out."""
    query, key, value = (
        projection(norm(x)).unflatten(-1, (module.num_heads, -1))
        for x, norm, projection in (
            (state, module.norm_state_pattern, module.state_projection),
            (stored, module.norm_stored_pattern, module.stored_projection),
            (value, module.norm_pattern_projection, module.pattern_projection),
        )
    )
    heads = []
    for h in range(module.num_heads):
        q, k, v = (x[:, :, h] for x in (query, key, value))

        def weights(q, k=k, h=h):
            scores = module.scaling * q @ k.mT
            exponentials = scores.exp() if visible is None else scores.exp() * visible
            return exponentials / (module.log_n[h, 0, 0].exp() + exponentials.sum(-1, keepdim=True))

        for _ in range(steps):
            q = weights(q) @ k
        heads.append(weights(q) @ v)
    return module.output_projection(torch.cat(heads, -1))


@pytest.mark.parametrize("steps", [0, 1, 3])
@pytest.mark.parametrize("noop", [0.0, 1.0, 30.0])
def test_the_layer_is_the_formula(steps, noop):
    module = layer(num_heads=2, hidden_size=3, pattern_size=4, output_size=5, update_steps_max=steps, noop=noop)
    module.update_steps_eps = 0.0
    stored, state, value = inputs()
    torch.testing.assert_close(module((stored, state, value)), plain(module, stored, state, value, steps=steps))


def test_one_tensor_is_all_three_and_sequences_may_come_first():
    module = layer(num_heads=2)
    x = inputs()[0]
    torch.testing.assert_close(module(x), plain(module, x, x, x))
    turned = layer(num_heads=2, batch_first=False)
    torch.testing.assert_close(turned(x.transpose(0, 1)).transpose(0, 1), module(x))


def test_masks():
    module = layer(num_heads=2)
    stored, state, value = inputs()
    padding = torch.tensor([[False] * 5, [False, False, True, True, True]])
    hidden = torch.zeros(4, 5, dtype=torch.bool)
    hidden[1, 0] = hidden[2] = True
    visible = (~padding[:, None, :] & ~hidden).double()
    expected = plain(module, stored, state, value, visible)
    torch.testing.assert_close(module((stored, state, value), padding, hidden), expected)
    additive = torch.zeros(4, 5, dtype=torch.float64).masked_fill(hidden, -math.inf)
    torch.testing.assert_close(module((stored, state, value), padding, additive), expected)
    # what is padding does not matter
    changed = stored.clone()
    changed[1, 2:] = 100.0
    torch.testing.assert_close(module((changed, state, value), padding, hidden), expected)


def test_the_no_op_mass_is_learnt():
    module = layer(num_heads=2, noop=2.0, learn_noop=True)
    assert module.log_n.shape == (2, 1, 1)
    torch.testing.assert_close(module.log_n.exp().flatten(), torch.full((2,), 2.0, dtype=torch.float64))
    module(inputs()).square().sum().backward()
    assert (module.log_n.grad != 0).all()
    assert "log_n" not in dict(layer().named_parameters())


def test_gradients_through_convergence_are_those_of_many_updates():
    stored, state, value = inputs()
    gradients = []
    for steps in (None, 200):
        module = layer(num_heads=2, hidden_size=3, update_steps_max=steps, learn_noop=True)
        module.update_steps_eps = 1e-14 if steps is None else 0.0
        module((stored, state, value)).square().sum().backward()
        gradients.append({name: p.grad for name, p in module.named_parameters()})
    for name, implicit in gradients[0].items():
        unrolled = gradients[1][name]
        # the fixed point forgets where it came from
        expected = torch.zeros_like(unrolled) if "state" in name else unrolled
        torch.testing.assert_close(
            torch.zeros_like(unrolled) if implicit is None else implicit, expected, atol=1e-9, rtol=1e-6
        )


def test_memory_does_not_grow_with_the_updates():
    stored, state, value = inputs(1, 8, 8)
    kept = []
    for rate in (0.5, 1e-6, 1e-12):
        module = layer(update_steps_max=None)
        module.update_steps_eps = rate
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t, sizes=sizes: sizes.append(t.numel()) or t, lambda t: t):
            module((stored, state, value))
        kept.append(sum(sizes))
    assert kept[0] == kept[1] == kept[2]


def test_updates_stop_where_nothing_moves():
    module = layer(update_steps_max=1000)
    module.update_steps_eps = 1e-12
    stored, state, value = inputs()
    settled = module((stored, state, value))
    module.update_steps_max = None
    torch.testing.assert_close(module((stored, state, value)), settled)
    # a query at rest is left where it is while others go on
    one, other = torch.tensor([[1.0, 1.0]]), torch.tensor([[1.0, 0.0]])
    state, moving = module._stepped(one, one + 1e-16, None)
    assert not moving.any()
    state, moving = module._stepped(state, other, moving)
    assert torch.equal(state, one + 1e-16)


def test_the_energy_falls_with_every_update():
    stored, state, value = inputs()
    for noop in (0.0, 1.0):
        energies = []
        for steps in range(5):
            module = layer(num_heads=2, scaling=1.5, noop=noop, update_steps_max=steps)
            module.update_steps_eps = 0.0
            energies.append(module.energy((stored, state, value)))
        for before, after in itertools.pairwise(energies):
            assert (after <= before + 1e-12).all()
        assert (energies[-1] < energies[0]).all()
    # and its gradient is what an update takes away
    module = layer(num_heads=1, noop=1.0)
    query, key, _ = module._projected((stored, state, value))
    query = query.detach().requires_grad_()
    energy = (
        0.5 * (query * query).sum(-1) - torch.log(1 + (module.scaling * query @ key.mT).exp().sum(-1)) / module.scaling
    )
    torch.testing.assert_close(module.energy((stored, state, value)), energy)
    [gradient] = torch.autograd.grad(energy.sum(), query)
    step = query - softmax_n_weights(query, key, scale=module.scaling) @ key
    torch.testing.assert_close(gradient, step)


def test_pooling_and_lookup():
    torch.manual_seed(0)
    pooling = HopfieldPooling(6, quantity=3, num_heads=2).double()
    stored, state, _ = inputs()
    expected = plain(pooling.hopfield, stored, pooling.pooling_weights.expand(2, -1, -1), stored)
    torch.testing.assert_close(pooling(stored), expected.flatten(1))
    padding = torch.tensor([[False] * 5, [False, True, True, True, True]])
    torch.testing.assert_close(pooling(stored, padding)[1], pooling(stored[1:, :1])[0])
    lookup = HopfieldLayer(6, quantity=7, stored_pattern_size=3, pattern_projection_size=4, output_size=2).double()
    weights, targets = (x.expand(2, -1, -1) for x in (lookup.lookup_weights, lookup.lookup_targets))
    torch.testing.assert_close(lookup(state), plain(lookup.hopfield, weights, state, targets))
    lookup(state).sum().backward()
    assert (lookup.lookup_targets.grad != 0).any()
    turned = HopfieldPooling(6, quantity=3, batch_first=False).double()
    assert turned(stored.transpose(0, 1)).shape == (2, 18)
    turned = HopfieldLayer(6, quantity=3, batch_first=False).double()
    assert turned(state.transpose(0, 1)).shape == (4, 2, 6)


def test_dropout_only_in_training():
    module = layer(dropout=0.5)
    x = inputs()[0]
    torch.manual_seed(0)
    assert not torch.equal(module(x), module(x))
    module.eval()
    torch.testing.assert_close(module(x), plain(module, x, x, x))


def test_state_dict_and_export():
    module = layer(num_heads=2, learn_noop=True, noop=3.0)
    again = Hopfield(6, num_heads=2, learn_noop=True).double()
    again.load_state_dict(module.state_dict())
    x = inputs()[0]
    assert torch.equal(again(x), module(x))
    program = torch.export.export(module.eval(), (x,))
    torch.testing.assert_close(program.module()(x), module(x))


def test_weights_of_the_other_package():
    module = layer(num_heads=2, hidden_size=3, pattern_size=4)
    own = module.state_dict()
    names = ("state_projection", "stored_projection", "pattern_projection")
    common = {name: value for name, value in own.items() if name.startswith("norm_")}
    common |= {f"association_core.out_proj.{kind}": own[f"output_projection.{kind}"] for kind in ("weight", "bias")}
    common["association_core.in_proj_bias"] = torch.cat([own[f"{name}.bias"] for name in names])
    together = {"association_core.in_proj_weight": torch.cat([own[f"{name}.weight"] for name in names])}
    apart = {f"association_core.{c}_proj_weight": own[f"{name}.weight"] for c, name in zip("qkv", names, strict=True)}
    x = inputs()[0]
    for weights in (together, apart):
        other = Hopfield(6, num_heads=2, hidden_size=3, pattern_size=4).double()
        other.load_state_dict(
            from_hflayers(common | weights, other, {"num_heads": 2, "hidden_size": 3, "pattern_size": 4})
        )
        assert torch.equal(other(x), module(x))
    with pytest.raises(ValueError, match=r"association_core.bias_k of shape \(1,\) has no place"):
        from_hflayers({"association_core.bias_k": torch.ones(1)}, module, {"num_heads": 2})
    with pytest.raises(ValueError, match="has no place"):
        from_hflayers({"association_core.in_proj_weight": torch.ones(3, 6)}, module, {"num_heads": 2})
    with pytest.raises(ValueError, match="a state dict does not show"):
        from_hflayers(common | together, module)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pattern_projection_as_connected": True}, "differ in pattern_projection_as_connected"),
        ({"stored_pattern_as_static": True}, "differ in stored_pattern_as_static"),
        ({"association_activation": "relu"}, "differ in association_activation"),
        ({"normalize_state_pattern_eps": 1e-3}, "differ in normalize_state_pattern_eps"),
        ({"add_zero_association": True}, "build this layer with noop=1"),
        ({"scaling": 3.0}, "scaling is 3.0"),
        ({"num_heads": 2}, "differ in num_heads"),
        ({"update_steps_max": 5}, "differ in update_steps_max"),
        ({"update_steps_max": torch.tensor([5, 6])}, r"update_steps_max is \[5, 6\], not one number for all heads"),
        ({"scaling": torch.tensor([1.0, 2.0])}, "every num_heads-th feature, not a head"),
        ({"dropout": 0.5}, "differ in dropout"),
        ({"normalize_stored_pattern_affine": False}, "differ in normalize_stored_pattern_affine"),
        ({"normalize_hopfield_space": True}, "differ in normalize_hopfield_space"),
        ({"something": 1}, "options hold something"),
    ],
)
def test_what_a_state_dict_does_not_show_is_refused(options, message):
    module = Hopfield(6, noop=0.0)
    with pytest.raises(ValueError, match=message):
        from_hflayers({}, module, options)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ({"add_bias_kv": True}, {"concat_bias_pattern": True}, "weights there, which are never used"),
        ({"update_steps_max": 2}, {"update_steps_max": 2}, "stop_together is False"),
        ({"scaling": 3.0}, {}, "this layer has 3.0"),
        (
            {"num_heads": 2, "hidden_size": 3, "stored_pattern_as_static": True},
            {"num_heads": 2, "hidden_size": 3, "stored_pattern_as_static": True},
            "every head takes a static pattern whole",
        ),
    ],
)
def test_layers_that_are_not_the_other_function_are_refused(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        from_hflayers({}, Hopfield(6, **arguments), options)


_STATIC = {f"{side}_as_static": True for side in ("state_pattern", "stored_pattern", "pattern_projection")}
_UNNORMALISED = {
    f"normalize_{side}{affine}": False
    for side in ("state_pattern", "stored_pattern", "pattern_projection")
    for affine in ("", "_affine")
}


def weights_of_hflayers(options, seed=0):
    """Random weights of an association of the other package, with its names and shapes."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64) * 0.6

    heads = options.get("num_heads", 1)
    hidden = options.get("hidden_size", 6 // heads)
    wide = options.get("pattern_size", hidden)
    inputs = {"state_pattern": 6, "stored_pattern": options.get("stored_pattern_size", 6)}
    inputs["pattern_projection"] = options.get("pattern_projection_size", 6)
    widths = dict(zip(inputs, (heads * hidden, heads * hidden, heads * wide), strict=True))
    static = {side: options.get(f"{side}_as_static", False) for side in inputs}
    core = {}
    connected = options.get("pattern_projection_as_connected", False)
    if connected or "pattern_size" in options or set(inputs.values()) != {6}:
        for side, letter in zip(inputs, "qkv", strict=True):
            size = heads * hidden if connected and letter == "v" else inputs[side]
            if not static[side]:
                core[f"{letter}_proj_weight"] = draw(widths[side], size)
    elif not all(static.values()):
        core["in_proj_weight"] = draw(sum(widths[side] for side in inputs if not static[side]), 6)
    if not all(static.values()):
        # static values have one too
        biased = [side for side in inputs if side == "pattern_projection" or not static[side]]
        core["in_proj_bias"] = draw(sum(widths[side] for side in biased))
    if options.get("concat_bias_pattern"):
        core |= {"bias_k": draw(1, 1, heads * hidden), "bias_v": draw(1, 1, heads * hidden)}
    if not options.get("disable_out_projection"):
        size = options.get("output_size", 6)
        core |= {"out_proj.weight": draw(size, heads * wide), "out_proj.bias": draw(size)}
    state = {f"association_core.{name}": tensor for name, tensor in core.items()}
    for side, size in inputs.items():
        if options.get(f"normalize_{side}", True):
            state |= {f"norm_{side}.weight": 1 + draw(size), f"norm_{side}.bias": draw(size)}
    return state


def association_of_hflayers(state, options, stored, query, value):
    """What the other package computes (commit f56f929 of ml-jku/hopfield-layers), from its weights, without masks."""
    core = {name.removeprefix("association_core."): x for name, x in state.items()}
    heads, static = options.get("num_heads", 1), [options.get(side, False) for side in _STATIC]
    xs = []
    for x, side in ((query, "state_pattern"), (stored, "stored_pattern"), (value, "pattern_projection")):
        scale, shift = (state.get(f"norm_{side}.{kind}") for kind in ("weight", "bias"))
        centred = x - x.mean(-1, keepdim=True)
        normal = centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()
        xs.append(normal * scale + shift if options.get(f"normalize_{side}", True) else x)
    matrices, rest = [], core.get("in_proj_weight")
    for letter, fixed in zip("qkv", static, strict=True):
        if fixed:
            matrices.append(None)
        elif rest is None:
            matrices.append(core[f"{letter}_proj_weight"])
        else:
            rows = len(rest) // (3 - sum(static) - sum(m is not None for m in matrices))
            matrices.append(rest[:rows])
            rest = rest[rows:]
    functions, bias = [], core.get("in_proj_bias")
    for matrix in matrices:
        if matrix is None:
            functions.append(lambda x: x)
        else:
            shift, bias = bias[: len(matrix)], bias[len(matrix) :]
            functions.append(lambda x, matrix=matrix, shift=shift: x @ matrix.T + shift)
    if options.get("pattern_projection_as_connected"):
        xs[2] = functions[1](xs[2])
    q, k, v = (f(x).unflatten(-1, (heads, -1)).transpose(1, 2) for f, x in zip(functions, xs, strict=True))
    if options.get("add_zero_association"):
        k, v = (torch.cat([x, torch.zeros_like(x[:, :, :1])], 2) for x in (k, v))
    beta = options.get("scaling", 1.0 if options == options | _STATIC else q.shape[-1] ** -0.5)
    most = options.get("update_steps_max", 0)
    p = torch.softmax(beta * q @ k.mT, -1)
    taken = torch.zeros(heads)
    moves = torch.full((heads,), most != 0)
    while moves.any():
        new = torch.where(moves[:, None, None], torch.softmax(beta * (p @ k) @ k.mT, -1), p)
        taken += moves
        moves = ((new - p).flatten(2).norm(dim=-1).amax(0) > options.get("update_steps_eps", 1e-4)) & moves
        p = new
        if most is not None:
            moves &= taken < most
    found = (p @ v).transpose(1, 2).flatten(2)
    if "out_proj.weight" in core:
        found = found @ core["out_proj.weight"].T + core["out_proj.bias"]
    return found, p


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_heads": 2},
        {"num_heads": 3, "hidden_size": 4, "pattern_size": 5, "output_size": 2, "stored_pattern_size": 4,
         "pattern_projection_size": 7, "scaling": 0.7},
        {"num_heads": 2, "pattern_projection_as_connected": True},
        {"hidden_size": 6, "pattern_projection_as_connected": True, "pattern_projection_as_static": True},
        {"pattern_projection_as_static": True},
        {"state_pattern_as_static": True, "stored_pattern_as_static": True},
        {**_STATIC, **_UNNORMALISED, "disable_out_projection": True},
        {"num_heads": 2, **_UNNORMALISED},
        {"num_heads": 2, "concat_bias_pattern": True, "scaling": torch.tensor([0.5, 0.5])},
        {"num_heads": 2, "add_zero_association": True, "update_steps_max": 2},
        {"num_heads": 2, "add_zero_association": True, "update_steps_max": 9, "update_steps_eps": 0.3},
        {"num_heads": 3, "update_steps_max": -1, "update_steps_eps": 0.05},
    ],
)  # fmt: skip
def test_the_other_package_is_reproduced(options):
    state = weights_of_hflayers(options)
    for tensor in state.values():
        tensor.requires_grad_()
    sizes = (options.get("stored_pattern_size", 6), 6, options.get("pattern_projection_size", 6))
    generator = torch.Generator().manual_seed(1)
    stored, query, value = (
        torch.randn(3, rows, size, generator=generator, dtype=torch.float64)
        for rows, size in zip((5, 4, 5), sizes, strict=True)
    )
    plain_options = {name: x for name, x in options.items() if not isinstance(x, torch.Tensor)}
    plain_options |= {"scaling": 0.5} if "concat_bias_pattern" in options else {}
    if options.get("update_steps_max") == -1:
        plain_options["update_steps_max"] = None
    expected, weights = association_of_hflayers(state, plain_options, stored, query, value)
    arguments = {"hidden_size": 6 // options.get("num_heads", 1)} | plain_options
    if options == options | _STATIC:
        arguments["scaling"] = 1.0
    known = inspect.signature(Hopfield).parameters
    module = Hopfield(
        6,
        noop=float("add_zero_association" in options),
        stop_together=True,
        **{k: v for k, v in arguments.items() if k in known},
    ).double()
    found = torch.func.functional_call(module, from_hflayers(state, module, options), ((stored, query, value),))
    torch.testing.assert_close(found, expected)
    module.load_state_dict(from_hflayers(state, module, options))
    seen = module.get_association_matrix((stored, query, value))
    torch.testing.assert_close(seen, weights[..., :5])
    used = [tensor for name, tensor in state.items() if "core.bias_" not in name]
    if used:
        for ours, theirs in zip(*(torch.autograd.grad(x.square().sum(), used) for x in (found, expected)), strict=True):
            torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("of", [HopfieldPooling, HopfieldLayer])
@pytest.mark.parametrize("batch_first", [True, False])
def test_weights_of_pooling_and_lookup(of, batch_first):
    options = {"num_heads": 2, "batch_first": batch_first}
    inner = weights_of_hflayers(options)
    theirs = {f"hopfield.{name}": tensor for name, tensor in inner.items()}
    generator = torch.Generator().manual_seed(2)
    learnt, targets = torch.randn(2, 1, 3, 6, generator=generator, dtype=torch.float64)
    x = torch.randn(2, 5, 6, generator=generator, dtype=torch.float64)
    many = learnt.expand(2, -1, -1)
    turned = (lambda t: t) if batch_first else (lambda t: t.transpose(0, 1))
    if of is HopfieldPooling:
        module = of(6, quantity=3, hidden_size=3, noop=0.0, **options).double()
        theirs["pooling_weights"] = turned(learnt)
        expected, weights = association_of_hflayers(inner, options, x, many, x)
        expected = expected.flatten(1)
    else:
        tied, apart = (
            of(6, quantity=3, hidden_size=3, noop=0.0, lookup_weights_as_separated=own, **options).double()
            for own in (False, True)
        )
        theirs["lookup_weights"] = turned(learnt)
        tied.load_state_dict(from_hflayers(theirs, tied, options))
        expected, _ = association_of_hflayers(inner, options, many, x, many)
        torch.testing.assert_close(turned(tied(turned(x))), expected)
        with pytest.raises(ValueError, match="no weights for lookup_targets"):
            from_hflayers(theirs, apart, options)
        theirs["target_weights"] = turned(targets)
        with pytest.raises(ValueError, match=r"target_weights of shape .* has no place"):
            from_hflayers(theirs, tied, options)
        module = apart
        expected, weights = association_of_hflayers(inner, options, many, x, targets.expand(2, -1, -1))
        expected = turned(expected)
    module.load_state_dict(from_hflayers(theirs, module, options))
    torch.testing.assert_close(module(turned(x)), expected)
    torch.testing.assert_close(module.get_association_matrix(turned(x)), weights)


def test_learnt_patterns_may_stay_as_they_were_drawn():
    learn = {"trainable": False, "lookup_targets_as_trainable": True}
    lookup = HopfieldLayer(6, quantity=3, **learn)
    assert not lookup.lookup_weights.requires_grad
    assert lookup.lookup_targets.requires_grad
    assert not HopfieldPooling(6, trainable=False).pooling_weights.requires_grad
    x = inputs()[1].float()
    padding = torch.tensor([[False, True, True]] * 2)
    seen = (lookup.lookup_weights[:, :1].expand(2, -1, -1), x, lookup.lookup_targets[:, :1].expand(2, -1, -1))
    torch.testing.assert_close(lookup(x, padding), lookup.hopfield(seen))
    with pytest.raises(ValueError, match="targets that are the stored patterns"):
        HopfieldLayer(6, stored_pattern_size=3, lookup_weights_as_separated=False)


def test_queries_of_a_head_may_stop_together():
    stored, state, value = inputs()
    apart, together = (
        layer(num_heads=2, update_steps_max=200, update_steps_eps=1e-12, stop_together=both) for both in (False, True)
    )
    torch.testing.assert_close(together((stored, state, value)), apart((stored, state, value)))
    # one sample that still moves keeps the others going
    first, second = (layer(update_steps_max=steps).get_association_matrix((stored, state, value)) for steps in (0, 1))
    changes = (second - first).flatten(1).norm(dim=1)
    loose = layer(update_steps_max=None, update_steps_eps=changes.mean().item(), stop_together=True)
    alone = torch.cat([loose(tuple(x[i : i + 1] for x in (stored, state, value))) for i in range(2)])
    further = (alone - loose((stored, state, value))).abs().flatten(1).amax(1)
    assert further[changes.argmin()] > 1e-3
    assert further[changes.argmax()] == 0
    # the slot's weight changes too
    one = tuple(x[:1] for x in (stored, state, value))
    change = (second - first)[:1]
    whole = torch.cat([change, -change.sum(-1, keepdim=True)], -1).norm()
    between = (whole + change.norm()).item() / 2
    once, twice = (layer(update_steps_max=steps, update_steps_eps=0.0)(one) for steps in (1, 2))
    counted = layer(update_steps_max=2, update_steps_eps=between, stop_together=True)(one)
    torch.testing.assert_close(counted, twice)
    assert (once - twice).abs().max() > 1e-4


def test_values_that_pass_the_projection_of_the_keys():
    module = layer(num_heads=2, hidden_size=3, pattern_projection_as_connected=True)
    stored, state, value = inputs()
    with torch.no_grad():
        for p in module.norm_pattern_projection.parameters():
            p.uniform_(0.5, 1.5)
    query = module.state_projection(module.norm_state_pattern(state)).unflatten(-1, (2, 3)).transpose(1, 2)
    key = module.stored_projection(module.norm_stored_pattern(stored)).unflatten(-1, (2, 3)).transpose(1, 2)
    values = module.pattern_projection(module.stored_projection(module.norm_pattern_projection(value)))
    weights = softmax_n_weights(query, key, scale=module.scaling)
    heads = (weights @ values.unflatten(-1, (2, 3)).transpose(1, 2)).transpose(1, 2).flatten(-2)
    torch.testing.assert_close(module((stored, state, value)), module.output_projection(heads))
    with pytest.raises(ValueError, match="connected projections take inputs of one size"):
        Hopfield(6, stored_pattern_size=3, pattern_projection_as_connected=True)


def test_static_patterns_and_a_learnt_pattern():
    stored, state, value = inputs()
    static = {f"{name}_as_static": True for name in ("stored_pattern", "state_pattern", "pattern_projection")}
    module = layer(num_heads=2, hidden_size=3, disable_out_projection=True, **static, normalize_stored_pattern=False,
                   normalize_state_pattern=False, normalize_pattern_projection=False)  # fmt: skip
    query, key, v = (x.unflatten(-1, (2, 3)).transpose(1, 2) for x in (state, stored, value))
    expected = softmax_n_weights(query, key) @ v
    torch.testing.assert_close(module((stored, state, value)), expected.transpose(1, 2).flatten(-2))
    with pytest.raises(ValueError, match="stored_pattern is static and of size 6"):
        Hopfield(6, num_heads=2, stored_pattern_as_static=True)
    learnt = layer(num_heads=2, add_bias_kv=True)
    weights = learnt.get_association_matrix((stored, state, value), torch.ones(2, 5, dtype=torch.bool))
    assert weights.shape == (2, 2, 4, 6)
    assert (weights[..., :-1] == 0).all()
    assert (weights[..., -1] > 0).all()
    learnt((stored, state, value)).sum().backward()
    assert (learnt.bias_k.grad != 0).any()
    assert (learnt.bias_v.grad != 0).any()


@pytest.mark.parametrize("steps", [0, 2])
def test_one_scaling_per_head_that_may_learn(steps):
    scaling = torch.tensor([0.5, 2.0], dtype=torch.float64)
    module = layer(num_heads=2, scaling=scaling, update_steps_max=steps)
    module.update_steps_eps = 0.0
    x = inputs()[0]
    apart = []
    for beta in scaling.tolist():
        one = layer(num_heads=2, scaling=beta, update_steps_max=steps, disable_out_projection=True)
        one.update_steps_eps = 0.0
        one.load_state_dict({k: v for k, v in module.state_dict().items() if k in one.state_dict()})
        apart.append(one(x).unflatten(-1, (2, -1)))
    heads = torch.stack([apart[0][..., 0, :], apart[1][..., 1, :]], -2)
    torch.testing.assert_close(module(x), module.output_projection(heads.flatten(-2)))
    learnt = layer(num_heads=2)
    learnt.scaling = torch.nn.Parameter(torch.tensor(1.0, dtype=torch.float64))
    learnt(x).square().sum().backward()
    assert learnt.scaling.grad != 0
    with pytest.raises(ValueError, match="one finite number above 0, or one per head"):
        Hopfield(6, num_heads=2, scaling=torch.ones(3))


def test_masks_of_three_axes_and_of_other_dtypes():
    module = layer(num_heads=2)
    x = inputs()
    hidden = torch.rand(4, 4, 5, generator=torch.Generator().manual_seed(2)) < 0.4
    torch.testing.assert_close(
        module(x, association_mask=hidden), module(x, association_mask=hidden.unflatten(0, (2, 2)))
    )
    for mask in (torch.zeros(2, 5), torch.zeros(2, 5, dtype=torch.long)):
        with pytest.raises(TypeError, match="must be boolean"):
            module(x, mask)
    with pytest.raises(TypeError, match=r"association_mask is torch.int64"):
        module(x, association_mask=torch.zeros(4, 5, dtype=torch.long))


def test_pooling_of_a_set_and_of_other_values():
    torch.manual_seed(0)
    pool = HopfieldPooling(6, quantity=2)
    x, values = torch.randn(2, 3, 5, 6)
    assert torch.equal(pool((x, x)), pool(x))
    assert not torch.equal(pool((x, values)), pool(x))


def test_the_no_op_mass_is_not_loaded_from_a_dense_layer():
    dense, fixed, learnt = Hopfield(6, noop=0.0), Hopfield(6, noop=1.0), Hopfield(6, noop=2.0, learn_noop=True)
    for other, log_n in ((fixed, 0.0), (learnt, math.log(2.0))):
        other.load_state_dict(dense.state_dict())
        torch.testing.assert_close(other.log_n, torch.full((1, 1, 1), log_n), check_dtype=False)
    with pytest.raises(RuntimeError, match="built with a fixed n of another size"):
        fixed.load_state_dict(learnt.state_dict())
    learnt.load_state_dict(fixed.state_dict())
    assert learnt.log_n.item() == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_heads": 0}, "num_heads is 0"),
        ({"hidden_size": -1}, "hidden_size is -1"),
        ({"scaling": 0.0}, "scaling is 0.0"),
        ({"scaling": math.nan}, "scaling is nan"),
        ({"update_steps_max": -1}, "update_steps_max is -1"),
        ({"update_steps_eps": -1e-3}, "update_steps_eps is -0.001"),
        ({"dropout": 1.0}, "dropout 1.0"),
        ({"noop": -1.0}, "n"),
        ({"noop": 0.0, "learn_noop": True}, "noop is 0.0"),
    ],
)
def test_what_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Hopfield(6, **arguments)
    for other in (HopfieldPooling, HopfieldLayer):
        with pytest.raises(ValueError, match="quantity is 0"):
            other(6, quantity=0)


# --- the implicit function theorem ---


def test_the_derivative_of_a_fixed_point():
    """An association that has converged, against finite differences."""
    generator = torch.Generator().manual_seed(0)
    patterns = torch.randn(5, 3, generator=generator, dtype=torch.float64).requires_grad_()
    log_n = torch.zeros((), dtype=torch.float64).requires_grad_()

    def found(patterns, log_n):
        def update(x):
            scores = x @ patterns.mT
            return (scores - torch.logaddexp(scores.logsumexp(-1, True), log_n)).exp() @ patterns

        x = patterns[:2].detach()
        with torch.no_grad():
            for _ in range(400):
                x = update(x)
        return differentiable(update, x, tol=1e-12)

    assert torch.autograd.gradcheck(found, (patterns, log_n), check_undefined_grad=False)


def test_no_gradient_is_asked_where_there_is_none():
    fixed = differentiable(lambda x: x / 2, torch.zeros(3))
    assert not fixed.requires_grad
