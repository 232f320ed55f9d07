"""`latent_style fetch` without a network, and what the judging verbs say about it"""
import pytest
from test_cli import call

@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    "No network, and no copies of the files on this disk"
    import latent_style.fetch as fetch
    def gone(r): return r._replace(url=f'http://127.0.0.1:9/{r.url.rpartition("/")[2]}')
    monkeypatch.setattr(fetch, 'PUBLISHED', {k: gone(r) for k,r in fetch.PUBLISHED.items()})
    monkeypatch.setattr(fetch, 'copies', lambda name: ())
    return tmp_path/'squeeze'

def test_without_a_network(nowhere):
    said = call('fetch', 'squeeze', '--out', nowhere, code=2)
    assert 'squeezenet1_1-b8a52dc0.pth' in said and 'Without a network: bring the file from elsewhere' in said, said
    assert not list(nowhere.glob('*.safetensors'))

def test_a_file_brought_by_hand_is_checked(nowhere):
    nowhere.mkdir()
    (nowhere/'squeezenet1_1-b8a52dc0.pth').write_bytes(b'a page that asks to log in')
    said = call('fetch', 'squeeze', '--out', nowhere, code=2)
    assert 'is not the file that was published' in said and 'expected b8a52dc0' in said, said

def test_names():
    assert "Did you mean 'squeeze'" in call('fetch', 'squeezenet', code=2)

def test_published_hashes():
    "The digits in torchvision's file name, and the heads as the package lpips has them"
    from pathlib import Path
    from latent_style.disk import file_hash
    from latent_style.fetch import PUBLISHED
    trunk,heads = PUBLISHED['trunk'],PUBLISHED['heads']
    models = pytest.importorskip('torchvision.models')
    assert trunk.url == models.SqueezeNet1_1_Weights.IMAGENET1K_V1.url and f'-{trunk.sha256}.pth' in trunk.url
    lpips = pytest.importorskip('lpips')
    assert file_hash(Path(lpips.__file__).parent/'weights/v0.1/squeeze.pth') == heads.sha256

def test_the_judges_say_where_weights_are_had(tmp_path):
    from latent_style.features import net_from
    with pytest.raises(ValueError, match='latent_style fetch squeeze'): net_from('squeeze')
    pytest.importorskip('torchvision')
    with pytest.raises(FileNotFoundError, match='latent_style fetch squeeze'): net_from(f'squeeze:{tmp_path}')
