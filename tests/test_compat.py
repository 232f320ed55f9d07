"Files and words of other systems: checkpoints made by the rules of their names, every key of their files, every flag"
import copy, importlib, inspect, json, math

import pytest, torch, yaml

# Names and shapes of their tensors, for any size

def wb(name, *shape): return {f'{name}.weight': shape, f'{name}.bias': shape[:1]}

def spectral(shapes, on=True):
    "With the old spectral norm: `weight_orig` and two vectors instead of `weight`"
    out = dict(shapes)
    for k in [k for k in shapes if on and k.endswith('.weight')]:
        o,i,h,w = out.pop(k)
        out |= {k+'_orig': (o,i,h,w), k+'_u': (o,), k+'_v': (i*h*w,)}
    return out

def cyclegan_G(kind='separable', w=256, blocks=9):
    k,first = dict(dense=(7,1), separable=(5,1), pointwise=(1,0))[kind]
    d = {f'net.{first}.weight': (w,4,k,k)}
    convs = dict(dense={1: (w,w,3,3), 5: (w,w,3,3)}, pointwise={0: (w,w,1,1), 3: (w,w,1,1)},
                 separable={1: (w,1,3,3), 2: (w,w,1,1), 6: (w,1,3,3), 7: (w,w,1,1)})[kind]
    for i in range(blocks): d |= {f'net.{first+3+i}.block.{j}.weight': s for j,s in convs.items()}
    head = wb(f'net.{first*2+3+blocks}', 4, w, k, k)
    return d | head | (wb('output_conv', 4, w, k, k) if kind != 'dense' else {})

def cyclegan_D(k=4, w=64, sn=True):
    d = wb('net.0', w, 4, k, k) | {'net.2.weight': (2*w,w,k,k)} | wb('net.4', 1, 2*w, 3, 3)
    return spectral(d, sn)

def mapping(n=3, z=16, w=512, s=64, shared=4, heads=4):
    d = wb('shared.0', w, z)
    for i in range(1, shared): d |= wb(f'shared.{2*i}', w, w)
    for i in range(n):
        for j in range(heads): d |= wb(f'unshared.{i}' + f'.{2*j}'*(heads > 1), s if j == heads-1 else w, w)
    return d

def stargan(norm='in', sn=True, n=5, w=256, s=64, blocks=6, wf=512, we=128, wd=64):
    G = wb('encoder.0', w, 4, 3, 3) | wb('encoder.1', w) | wb('encoder.3', w, w, 3, 3) | wb('encoder.4', w)
    for i in range(blocks):
        for j in (1,2): G |= wb(f'res_blocks.{i}.ada{norm}{j}.fc', 2*w, s) | wb(f'res_blocks.{i}.conv{j}', w, w, 3, 3)
    G |= wb('decoder.0', w//2, w, 3, 3) | wb('decoder.2', 4, w//2, 3, 3)
    E = wb('shared.0', we, 4, 3, 3) | wb('shared.2', 2*we, we, 3, 3) | wb('shared.4', 2*we, 2*we, 3, 3)
    for i in range(n): E |= wb(f'unshared.{i}', s, 2*we)
    D = wb('main.0', wd, 4, 3, 3) | wb('main.2', 2*wd, wd, 3, 3) | wb('main.4', 4*wd, 2*wd, 3, 3)
    return dict(G=G, F=mapping(n, 16, wf, s, 3, 1), E=E, D=spectral(D | wb('main.6', n, 4*wd, 1, 1), sn))

def flow(w=384, blocks=12, shared=False, row=False, n=2, s=256):
    d = wb('input_proj', w, 4, 3, 3) | wb('time_embed.mlp.0', 4*s, s) | wb('time_embed.mlp.2', s, 4*s)
    d |= wb('cond_fusion.0', 2*s, 2*s) | wb('cond_fusion.2', s, 2*s) | {'style_embed.embedding.weight': (n+row,s)}
    if not row: d['style_embed.avg_style_embedding'] = s,
    for i in range(math.ceil(blocks/3) if shared else 0): d |= wb(f'shared_mlps.{i}', 2*w, s)
    for b in (f'blocks.{i}.' for i in range(blocks)):
        d |= {b+'gamma': (w,1,1)} | wb(b+'dwconv', w, 1, 7, 7) | wb(b+'adagn.style_proj', 2*w, s)
        d |= wb(b+'pwconv1', 4*w, w, 1, 1) | wb(b+'pwconv2', w, 4*w, 1, 1)
    return d | wb('output_proj.0', w) | wb('output_proj.2', 4, w, 3, 3)

def pixel_block(p, i, o, norm=False):
    d = wb(p+'conv1', i, i, 3, 3) | wb(p+'conv2', o, i, 3, 3) | ({p+'conv1x1.weight': (o,i,1,1)} if i != o else {})
    return d | (wb(p+'norm1', i) | wb(p+'norm2', i) if norm else {})

def pixel_up(p, i, o, s):
    d = wb(p+'conv1', o, i, 3, 3) | wb(p+'conv2', o, o, 3, 3) | wb(p+'norm1.fc', 2*i, s) | wb(p+'norm2.fc', 2*o, s)
    return d | ({p+'conv1x1.weight': (o,i,1,1)} if i != o else {})

def pixel_body(name, cs):
    d = wb(f'{name}.0', cs[0], 3, 3, 3) | wb(f'{name}.{len(cs)+1}', cs[-1], cs[-1], 4, 4)
    for i in range(len(cs)-1): d |= pixel_block(f'{name}.{i+1}.', cs[i], cs[i+1])
    return d

def pixels(size=256, w_hpf=0, n=3, s=64, widest=512, wf=512):
    cs = [min(2**14//size*2**i, widest) for i in range(int(math.log2(size))-1)]
    m = len(cs)-3+(w_hpf > 0)
    G = wb('from_rgb', cs[0], 3, 3, 3) | wb('to_rgb.0', cs[0]) | wb('to_rgb.2', 3, cs[0], 1, 1)
    if w_hpf: G['hpf.filter'] = 3,3
    for i in range(m+2):
        a,b = cs[min(i,m)],cs[min(i+1,m)]
        G |= pixel_block(f'encode.{i}.', a, b, True) | pixel_up(f'decode.{m+1-i}.', b, a, s)
    E = pixel_body('shared', cs)
    for i in range(n): E |= wb(f'unshared.{i}', s, cs[-1])
    D = pixel_body('main', cs) | wb(f'main.{len(cs)+3}', n, cs[-1], 1, 1)
    return dict(generator=G, mapping_network=mapping(n, s=s, w=wf), style_encoder=E, discriminator=D)

# Checkpoints

def tensors(shapes, prefix=''):
    "Random tensors under these names; the copies of a shared layer are equal"
    sd = {k: torch.randn(s)*.1 for k,s in shapes.items()}
    for k in sd:
        head = [n for n in sd if n.startswith('net.') and n[-4:] == k[-4:]]
        if k.startswith('output_conv'): sd[k] = sd[head[-1]]
        if k.startswith('blocks.') and 'style_proj' in k and 'shared_mlps.0.weight' in sd:
            sd[k] = sd[f'shared_mlps.{int(k.split(".")[1])//3}.{k.split(".")[-1]}']
    if 'hpf.filter' in sd: sd['hpf.filter'] = torch.tensor([[-1.,-1,-1],[-1,8,-1],[-1,-1,-1]])
    return {prefix+k: v for k,v in sd.items()}

rng = dict(python=(3, (1,2,3), None), torch=torch.get_rng_state())
rest = dict(opt_G=dict(state={}, param_groups=[]), scaler={}, rng=rng)

def cyclegan_file(kind, sn=True):
    D = tensors(cyclegan_D(3 if kind == 'dense' else 4, 8, sn))
    nets = {k: tensors(cyclegan_G(kind, 16, 2)) for k in 'GF'}
    return nets | dict(D_A=D, D_B=D, step=1, kimg=2., cfg=dict(model=dict(ngf=16), data=dict(latent_divisor=1))) | rest

def stargan_file(norm, sn, prefix):
    sds = stargan(norm, sn, n=3, w=32, s=8, blocks=1, wf=16, we=8, wd=8)
    nets = {k: tensors(v, prefix*(k != 'D')) for k,v in sds.items()}
    return nets | dict(epoch=3, global_step=9, config={}) | rest

def flow_file(prefix, **how):
    cfg = dict(model=dict(num_styles=2), inference=dict(num_inference_steps=2))
    sd = tensors(flow(w=32, blocks=4, s=16, **how), prefix)
    return dict(epoch=3, model_state_dict=sd, config=cfg, training_info={})

def pixels_file(w_hpf, names):
    return {k: tensors(v, 'module.') for k,v in pixels(32, w_hpf, s=8, widest=16, wf=16).items() if k in names}

ema = 'generator','mapping_network','style_encoder'
FILES = dict(
    dense=lambda: cyclegan_file('dense'), separable=lambda: cyclegan_file('separable'),
    no_sn=lambda: cyclegan_file('separable', False), pointwise=lambda: cyclegan_file('pointwise'),
    baseline_AdaIN=lambda: stargan_file('in', True, ''), AdaGN_with_SN=lambda: stargan_file('gn', True, '_orig_mod.'),
    AdaGN_no_SN=lambda: stargan_file('gn', False, '_orig_mod.'), flow=lambda: flow_file(''),
    flow_row=lambda: flow_file('', row=True), flow_shared=lambda: flow_file('_orig_mod.', shared=True),
    nets_ema=lambda: pixels_file(0, ema), nets=lambda: pixels_file(0, (*ema,'discriminator')),
    faces=lambda: pixels_file(1, ema))

@pytest.mark.filterwarnings('ignore:this generator was trained with a high-pass skip')
@pytest.mark.parametrize('name', FILES)
def test_checkpoint_translates(tmp_path, name):
    from latent_style.compat.checkpoints import load_checkpoint
    torch.manual_seed(0)
    torch.save(FILES[name](), tmp_path/'x.pt')
    t = load_checkpoint(tmp_path/'x.pt', codec=False)
    x = torch.randn(2, 3, 32, 32) if 'px' in repr(t) else torch.randn(2, 4, 8, 8)
    y = t(x, t.domains[0])
    assert y.shape == x.shape and y.isfinite().all() and not torch.equal(y, x)
    assert torch.equal(t(x, t.domains[0], strength=0.), x)

@pytest.mark.parametrize('shapes,module,read', [
    (lambda: stargan(), 'stargan', 'latent_nets'), (lambda: stargan('gn', False), 'stargan', 'latent_nets'),
    (lambda: pixels(), 'pixels', 'pixel_nets'), (lambda: pixels(128, 1), 'pixels', 'pixel_nets')])
def test_names_at_full_size(shapes, module, read):
    "Names and shapes to networks and back, without memory"
    from latent_style.compat.tensors import Tensors
    read = getattr(importlib.import_module(f'latent_style.compat.{module}'), read)
    short = dict(generator='G', mapping_network='F', style_encoder='E', discriminator='D')
    want = {short.get(k, k): v for k,v in shapes().items()}
    sds = {k: Tensors({n: torch.empty(s, device='meta') for n,s in v.items()}) for k,v in want.items()}
    if 'hpf.filter' in sds['G']: sds['G']['hpf.filter'] = torch.full((3,3), 8.)
    with torch.device('meta'): nets = {k: make() for k,make in read(sds).items()}
    assert {k: {n: tuple(v.shape) for n,v in net.state_dict().items()} for k,net in nets.items()} == want

def test_flow_names_at_full_size():
    from latent_style.compat.flows import flow_net
    from latent_style.compat.tensors import Tensors
    for how in ((384,12), (288,15,True)):
        sd = Tensors({n: torch.empty(s, device='meta') for n,s in flow(*how).items()})
        with torch.device('meta'): net = flow_net(sd, 'average')()
        assert {n: tuple(v.shape) for n,v in net.state_dict().items()} == flow(*how)

def test_cyclegan_names_at_full_size():
    from latent_style.compat.cyclegan import generator_from
    from latent_style.models import PatchDiscriminator, ResnetGenerator
    for kind,blocks in (('dense',4), ('separable',9), ('pointwise',9)):
        sd = {n: torch.empty(s, device='meta') for n,s in cyclegan_G(kind, blocks=blocks).items()}
        with torch.device('meta'): net = ResnetGenerator(**generator_from(sd))
        assert {n: tuple(v.shape) for n,v in net.state_dict().items()} == cyclegan_G(kind, blocks=blocks)
    for k,sn in ((3,True), (4,True), (4,False)):
        got = PatchDiscriminator(4, ndf=64, stride=k-2, sn=sn).state_dict()
        assert {n: tuple(v.shape) for n,v in got.items()} == cyclegan_D(k, sn=sn)

def test_code_in_a_file_is_refused(tmp_path):
    from latent_style.compat.checkpoints import load_checkpoint
    class Call:
        def __reduce__(self): return print, ('code',)
    torch.save(dict(G=Call(), F={}), tmp_path/'evil.pt')
    with pytest.raises(ValueError, match='refused'): load_checkpoint(tmp_path/'evil.pt', codec=False)

# Configuration files: every section and key of five of them

METRICS = '''reference_cache_dir: c,
  max_eval_samples: 30, eval_seed: 42, eval_image_size: 256, eval_batch_size: 8, run_device: cuda, use_bf16_autocast:
  true, ref_cache_max_images: 0, kid_ref_max_images: 100, kid_num_subsets: 100, kid_subset_size: 100, skip_lpips:
  false, skip_clip: false, clip_backbone_id: b, clip_model_cache_dir: c, clip_local_only: true, clip_use_safetensors:
  true'''

CYCLEGAN_HEAD = '''
exp_root: runs/later
style_a: city
style_b: sketch
shared: {vae_model_name_or_path: tiny, vae_subfolder: vae, cleanfid_inception_path: i}
data: {path: LATENTS, latents_scaled: false, latent_divisor: 1, max_samples_a: -1, max_samples_b: 5}
model: {in_channels: 4, out_channels: 4, ngf: 256, ndf: 64, n_res_blocks: 9, d_layers: 3, use_discriminator_sn: true,
  out_activation: none, use_global_residual: true, use_pointwise_only: false}
train: {device: cpu, seed: 42, batch_size: 2, total_kimg: 214, num_workers: 4, amp: true, log_every_steps: 100,
  ckpt_every_kimg: 20, vis_every_kimg: 20, resume: true, resume_path: "", resume_restore_rng: true, fake_buffer_size:
  50, fake_buffer_prob: 0.5, lr: 0.0002, beta1: 0.5, beta2: 0.999, lr_constant_kimg: 107, lr_decay_kimg: 107,
  d_loss_scale: 0.5, lambda_cyc: 0.5, lambda_id: 0.1}
logging: {use_tqdm: false, tqdm_ncols: 120, tqdm_bar_len: 30, log_file: train_log.jsonl}
visualization: {scan_root: s, num_samples: 2, vae_model_name_or_path: tiny, vae_subfolder: vae, vae_scaling_factor:
  0.18215}
image_export: {base_latent_dir: z, base_orig_rgb_dir: x, base_vae_recon_dir: r, model_path: m, output_dir: o,
  eval_image_size: 256, batch_size: 8, run_device: cuda, use_bf16_autocast: true}
cyclegan_eval: {experiment_dir: e, base_latent_dir: z, base_orig_rgb_dir: x, base_vae_recon_dir: r, METRICS}
pixel_cyclegan_eval: {direction_mode: both, single_direction: A2B, base_test_image_dir: t, base_ref_image_dir: r,
  generator_checkpoint_path: g, METRICS}
'''.replace('METRICS', METRICS)

FIRST_EVAL = '''out_dir: o, testA_dir: a, testB_dir: b, clip_model_id: m, clip_cache_dir: c, clip_local_files_only:
  true, clip_use_safetensors: true, compact_paths: true, image_size: 256, batch_size: 8, max_src_samples: 0,
  max_ref_cache: 256, max_ref_compare: 50, cache_dir: c, force_regen_cache: false, save_images: true, disable_lpips:
  false, disable_clip: false, amp_bf16: true, device: cuda'''

CYCLEGAN_FIRST = '''
data: {a_dir: LATENTS/city, b_dir: LATENTS/sketch, latents_scaled: false, latent_divisor: 10.0}
model: {in_channels: 4, out_channels: 4, ngf: 256, ndf: 64, n_res_blocks: 4, d_layers: 3, out_activation: tanh}
train: {device: cpu, seed: 42, epochs: 200, batch_size: 4, num_workers: 4, amp: true, checkpoint_dir: first/model,
  resume: true, resume_path: "", resume_restore_rng: true, fake_buffer_size: 50, fake_buffer_prob: 0.5, lr: 2e-4,
  beta1: 0.5, beta2: 0.999, lr_constant_epochs: 100, lr_decay_epochs: 100, d_loss_scale: 0.5, lambda_cyc: 5.0,
  lambda_id: 0.2}
logging: {tqdm_ncols: 120, tqdm_bar_len: 30, log_dir: first/logs, log_file: train_log.jsonl}
visualization: {every_epochs: 1, out_dir: first/vis, num_samples: 4, vae_model_name_or_path: tiny, vae_subfolder: vae,
  vae_scaling_factor: 0.18215}
eval: {checkpoint_path: c, FIRST_EVAL}
cyclegan_eval: {checkpoints_dir: c, name: n, epoch: latest, FIRST_EVAL, model: {input_nc: 3, output_nc: 3, ngf: 64,
  netG: resnet_9blocks, norm: instance, no_dropout: true}}
'''.replace('FIRST_EVAL', FIRST_EVAL)

STARGAN_EVAL = '''checkpoint_path: c, out_dir: o, mode: both, image_size: 256, max_src_samples: 0, max_ref_cache: 256,
  batch_size: 128, clip_model_name: m, clip_allow_network: false, disable_lpips: false, lpips_chunk_size: 2,
  lpips_no_cpu_fallback: true, disable_art_fid: false, art_fid_max_gen: 200, art_fid_max_ref: 200, art_fid_batch_size:
  16'''

STARGAN_TRAINING = '''seed: 42, batch_size: 4, num_epochs: 20, lr_g: 1e-4, lr_d: 1e-4, lr_mapping: 1e-6, weight_decay:
  1e-4, lr_schedule: SCHEDULE, use_amp: true, amp_dtype: bf16, allow_tf32: true, cudnn_benchmark: true, optim_fused:
  true, latent_scale: 0.18215, num_workers: 0, pin_memory: true, use_compile: false, compile_mode: default,
  compile_dynamic: false, compile_fullgraph: false, compile_cudagraphs: false, compile_generator: true,
  compile_mapping_network: true, compile_style_encoder: true, compile_discriminator: false, drop_last: true,
  progress_bar: true, progress_style: percent, display_interval: 500, log_json: true, log_interval: 50, save_interval:
  1'''

STARGAN = '''
experiment: {name: plain}
model: {exp_branch: AdaGN_with_SN, latent_channels: 4, style_dim: 64, base_dim: 256, num_groups: 32, num_domains: 3,
  n_res_blocks: 6, d_layers: 3, latent_dim: 16, mapping_hidden_dim: 384, mapping_shared_layers: 3}
loss: {w_adv: 1.0, w_sty: 1.0, w_ds: 1.0, ds_margin: 1.5, w_cyc: 1.0, w_id: 1.0, w_r1: 2.0, r1_interval: 16,
  ds_decay_epochs: 5}
training: {TRAINING, warmup_steps: 200, min_lr_ratio: 0.1, console_log_path: "{outputs_dir}/console.log"}
visualization: {every_epochs: 2, vae_model_name_or_path: tiny, vae_subfolder: vae, suppress_hf_warnings: true,
  num_samples: 5, save_dir: "{outputs_dir}/vis", random_noise_seed: 42, eval_dir: e, auto_eval_latest: true}
data: {data_root: LATENTS, eval_data_root: e, image_root: i, decoded_source_dir: d, domains: [city, sketch, anime],
  preload_to_gpu: true, epoch_size: 24}
checkpoint: {save_dir: "runs/{exp_name}/ckpt", resume_path: ""}
eval: {EVAL, micro_batch: 16, force_rebuild_cache: false}
'''.replace('TRAINING', STARGAN_TRAINING.replace('SCHEDULE', 'cosine')).replace('EVAL', STARGAN_EVAL)

STARGAN_OVERFIT = '''
experiment: {name: overfit50, outputs_dir: "outputs/{exp_name}"}
model: {latent_channels: 4, style_dim: 64, base_dim: 256, num_domains: 3, n_res_blocks: 4, d_layers: 3, latent_dim:
  16, mapping_hidden_dim: 512, mapping_shared_layers: 3}
loss: {w_adv: 1.0, w_sty: 1.0, w_ds: 1.0, ds_margin: 1.5, w_cyc: 1.0, w_id: 1.0, w_r1: 2.0, r1_interval: 16,
  ds_decay_epochs: 20}
training: {TRAINING}
visualization: {every_epochs: 2, vae_model_name_or_path: tiny, vae_subfolder: vae, suppress_hf_warnings: true,
  num_samples: 5, save_dir: "{outputs_dir}/vis"}
data: {data_root: LATENTS, image_root: i, domains: [city, sketch, anime], preload_to_gpu: true, epoch_size: null}
checkpoint: {save_dir: "{outputs_dir}/ckpt", resume_path: ""}
eval: {EVAL}
'''.replace('TRAINING', STARGAN_TRAINING.replace('SCHEDULE', 'none')).replace('EVAL', STARGAN_EVAL)


later = dict(preset='separable', path='runs/later', domains=('city','sketch'), kimg=214, lr_constant=.5, batch=2,
             w_cyc=.5, conv='separable', act=None, residual=True, gain=1/.18215, ckpt_every=10000,
             max_samples=dict(city=-1, sketch=5))
first = dict(preset='dense', path='first', domains=('city','sketch'), n_steps=200, lr_constant=.5, batch=4, w_cyc=5.,
             lr=2e-4, conv='dense', act='tanh', d_stride=1, gain=1/1.8215, max_samples=None, ckpt_every=1)
plain = dict(preset='blocks6', path='runs/plain', domains=('city','sketch','anime'), n_steps=120, lr_f=1e-6,
             ds_decay=.25, norm='gn', sn=True, w_map=384, width=256, gain=1., schedule='cosine', warmup=200,
             sample_every=12)
overfit = dict(preset='blocks6', path='outputs/overfit50', n_steps=60, n_blocks=4, w_map=512, ds_decay=1.,
               schedule='constant')
CONFIGS = dict(cyclegan_head=(CYCLEGAN_HEAD,'cyclegan',later), cyclegan_first=(CYCLEGAN_FIRST,'cyclegan',first),
               example=(CYCLEGAN_FIRST.replace('10.0', '10'),'cyclegan',first), stargan=(STARGAN,'stargan',plain),
               overfit50=(STARGAN_OVERFIT,'stargan',overfit))

@pytest.fixture(scope='module')
def latents(tmp_path_factory):
    "Four raw latents for each of three domains, one file each"
    root = tmp_path_factory.mktemp('latents')
    for d in ('city','sketch','anime'):
        (root/d).mkdir()
        for i in range(4): torch.save(dict(latent=5*torch.randn(4,8,8)), root/d/f'{i}.pt')
    return root

def read(text, latents): return yaml.safe_load(text.replace('LATENTS', latents.as_posix()))

@pytest.mark.parametrize('name', CONFIGS)
def test_configuration_file_loads(latents, name):
    "Right method and options, and a note for each key that leads to no option"
    from latent_style.compat.configs import in_our_words, is_foreign
    from latent_style.compat.keys import KEYS, entries
    text,method,want = CONFIGS[name]
    cfg = read(text, latents)
    assert is_foreign(cfg)
    got,o,notes = in_our_words(cfg, f'{name}.yaml')
    assert got == method
    for k,v in want.items(): assert o[k] == (pytest.approx(v) if isinstance(v, float) else v), k
    said = ' '.join(notes)
    for section,key,means,_ in entries(cfg, KEYS[method]):
        assert 'no meaning' not in means, f'{section}.{key} is not in the table'
        if means[0] == '-': assert f'{section}: {means[1:]}' in said or key in said, (section, key)
    options = inspect.signature(importlib.import_module(f'latent_style.{method}').train).parameters
    assert not set(o) - set(options)

def filled_in(keys, latents):
    "A file with these sections and keys, whose values are of the kinds that are told of them"
    values = dict(str='x', int=3, float=.5, bool=True, list=['city','sketch','anime'], NoneType=None)
    def made(v): return {k: made(x) for k,x in v.items()} if isinstance(v, dict) else values[v]
    folders = dict(a_dir=f'{latents}/city', b_dir=f'{latents}/sketch', path=str(latents), data_root=str(latents))
    told = dict(out_activation='none', exp_branch='baseline_AdaIN', lr_schedule='cosine')
    cfg,told = made(keys),told | dict(style_a='city', style_b='sketch')
    for section in (cfg, *(v for v in cfg.values() if isinstance(v, dict))):
        for k,v in (told | folders).items():
            if k in section: section[k] = v
    return cfg

@pytest.mark.parametrize('name', 'cyclegan_head cyclegan_first stargan_example stargan stargan_overfit50'.split())
def test_every_key_of_the_real_files(shared, latents, name):
    "A list of all sections and keys of five files, where it is at hand: all of them load, no key is unknown"
    from latent_style.compat.configs import in_our_words, is_foreign
    cfg = filled_in(json.loads((shared/'reference/config_keys.json').read_text())[name], latents)
    assert is_foreign(cfg)
    method,o,notes = in_our_words(cfg, name)
    assert method == ('stargan' if name in ('stargan','stargan_overfit50') else 'cyclegan')
    assert not [note for note in notes if 'no meaning here' in note], notes
    assert not set(o) - set(inspect.signature(importlib.import_module(f'latent_style.{method}').train).parameters)

def test_what_is_near_a_key_without_meaning_has_none(latents):
    "`test_data_root` looks like `data_root`, and more like `eval_data_root`"
    from latent_style.compat.configs import in_our_words
    cfg = read(STARGAN, latents)
    cfg['data']['test_data_root'] = 'x'
    assert 'data.test_data_root: it has no meaning here' in in_our_words(cfg)[2]
    with pytest.raises(ValueError, match="Did you mean 'data_root'"): in_our_words(cfg | dict(data=dict(dataroot='x')))

def test_mixed_precision_is_left_to_the_gpu(latents, monkeypatch):
    "bf16 where it computes in it, else fp32: those systems ran on cards that do not"
    from latent_style.compat.configs import in_our_words
    for there,want in ((True,'auto'), (False,'fp32')):
        monkeypatch.setattr(torch.cuda, 'is_available', lambda there=there: there)
        cfg = read(CYCLEGAN_HEAD, latents)
        assert in_our_words(cfg | dict(train=cfg['train'] | dict(device='cuda')))[1]['precision'] == want

def test_a_slip_is_refused_and_news_are_noted(latents):
    from latent_style.compat.configs import in_our_words
    cfg = read(CYCLEGAN_HEAD, latents)
    slips = 'train lambda_cyle lambda_cyc','model n_res_block n_res_blocks','data latents_divisor latent_divisor'
    for section,key,says in map(str.split, slips):
        bad = copy.deepcopy(cfg)
        bad[section][key] = 1
        with pytest.raises(ValueError, match=f"{section}.{key}. Did you mean '{says}'"): in_our_words(bad)
    new = cfg | dict(wandb=dict(project='x'), train=dict(cfg['train'], gradient_noise=0))
    notes = in_our_words(new)[2]
    assert 'wandb: it has no meaning here' in notes and 'train.gradient_noise: it has no meaning here' in notes

def test_single_latents_are_packed(latents, tmp_path, capsys):
    from latent_style.compat.configs import pack_once
    from latent_style.store import open_store
    cfg = read(STARGAN, latents)
    for _ in range(2): pack_once(cfg, tmp_path/'store')
    assert capsys.readouterr().out.count('packing') == 1
    z,raw = open_store(tmp_path/'store')['anime'].take([0])[0],torch.load(latents/'anime/0.pt', weights_only=True)
    assert torch.allclose(z, .18215*raw['latent'], atol=5e-3)

# Command lines

SCRIPTS = dict(encode='target_size=size', translate='''checkpoint=run input=pictures source_style=source target_style=to
    output=out num_steps=steps cfg_scale=guidance''')
TRAINING = '''img_size=size latent_dim=n_z hidden_dim=w_map style_dim=n_s lambda_reg=w_r1 lambda_cyc=w_cyc
    lambda_sty=w_sty lambda_ds=w_ds w_hpf=w_hpf randcrop_prob=crop total_iters=n_steps batch_size=batch lr=lr f_lr=lr_f
    beta1=beta1 beta2=beta2 weight_decay=weight_decay num_workers=workers seed=seed print_every=log_every
    sample_every=sample_every save_every=ckpt_every checkpoint_dir=path'''

@pytest.mark.parametrize('verb,pair', [(verb, pair) for verb,pairs in SCRIPTS.items() for pair in pairs.split()])
def test_flag_of_a_script(verb, pair):
    from latent_style.compat.flags import in_our_words
    flag,ours = pair.split('=')
    first = ours in ('run','pictures')
    for word in (f'--{flag}', f'--{flag.replace("_", "-")}'):
        assert in_our_words([verb, word, 'x']) == [verb, *([] if first else [f'--{ours}']), 'x']
    assert in_our_words([verb, f'--{flag}=x']) == [verb, 'x' if first else f'--{ours}=x']

def test_encoding_from_a_configuration_file(tmp_path):
    from latent_style.compat.flags import in_our_words
    (tmp_path/'c.json').write_text('{"data": {"raw_data_root": "pics", "data_root": "z"}}   // both folders')
    words = in_our_words(['encode', '--config', str(tmp_path/'c.json'), '--target_size', '512'])
    assert words == ['encode', 'pics', 'z', '--size', '512', '--codec', 'stabilityai/sd-vae-ft-mse']

@pytest.mark.parametrize('pair', TRAINING.split())
def test_training_flag_of_the_original(pair):
    from latent_style.compat.flags import in_our_words
    flag,ours = pair.split('=')
    words = in_our_words(['--mode', 'train', '--train_img_dir', 'afhq', f'--{flag}', '7', '--device', 'cpu'])
    assert words[:3] == ['train', 'pixels', 'afhq'] and words[words.index(f'--{ours}')+1] == '7'
    assert words.count(f'--{ours}') == 1 and words[-2:] == ['--device', 'cpu']

def test_other_flags_of_the_original(tmp_path):
    from latent_style.compat.flags import in_our_words
    for d in ('cat','dog'): (tmp_path/'train'/d).mkdir(parents=True)
    train = str(tmp_path/'train')
    def ask(line): return in_our_words(line.replace('TRAIN', train).split())
    words = ask('--mode=train --train_img_dir TRAIN --val_img_dir v --num_domains 2 --ds_iter 50 --total_iters 200')
    assert words[words.index('--ds_decay')+1] == '0.25' and words[words.index('--order')+1] == 'original'
    assert ask('--mode sample --src_dir s --ref_dir r') == 'sample expr/checkpoints s r --out expr/results'.split()
    words = ask('--resume_iter 9 --mode sample --src_dir s --ref_dir r --result_dir o --checkpoint_dir run')
    assert words == 'sample run s r --out o --step 9'.split()
    places = '--val_img_dir v --train_img_dir TRAIN --eval_dir e --checkpoint_dir run'
    words = ask(f'--mode eval {places} --num_outs_per_domain 3 --img_size 64 --val_batch_size 8')
    assert words[:6] == ['evaluate-styles', 'run', '--source', 'v', '--target', train]
    assert dict(zip(words[6::2], words[7::2])) == {'--size': '64', '--answers': '3', '--out': 'e'}
    with pytest.warns(UserWarning, match='no meaning'):
        ask('--mode train --train_img_dir TRAIN --sample_dir s --eval_every 5')
    bad = {'--mode align --inp_dir x': 'landmark', '--mode fly': 'train, sample or eval',
           '--mode eval': 'missing: --val_img_dir',
           '--mode train --num_domains 3 --train_img_dir TRAIN': 'has 2 folders'}
    for line,says in bad.items():
        with pytest.raises(ValueError, match=says): ask(line)

def test_our_words_pass_unchanged():
    from latent_style.compat.flags import in_our_words
    lines = '', '--help', 'train --config file.yaml', 'translate run pics --mode direct --x=', 'encode a b --size 64'
    for line in lines:
        assert in_our_words(line.split()) == line.split()

# Names that have moved

def moves():
    from latent_style.compat.imports import MOVED
    return [(module, name, place) for module,names in MOVED.items() for name,place in names.items()]

@pytest.mark.parametrize('module,name,place', moves())
def test_moved_name(module, name, place):
    "The old place gives the same object and, unless it uses the name itself, a warning that names the new one"
    where,_,new = place.partition(':')
    old,new = importlib.import_module(module),new or name
    if name in vars(old): found = getattr(old, name)
    else:
        with pytest.warns(FutureWarning, match=f'{module}.{name} is {where}.{new} now'): found = getattr(old, name)
    assert found is getattr(importlib.import_module(where), new)

def test_a_name_that_never_was():
    with pytest.raises(ImportError, match="'open_stare'"): from latent_style.data import open_stare  # noqa: F401
