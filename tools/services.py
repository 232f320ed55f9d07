"""Write the notebooks for Colab and Kaggle, services/METHOD.ipynb, from the cells in tools/services.txt

    python tools/services.py

They are no pages of the site: they want a service's folders and its graphics card, so neither nbdev nor JupyterLab's
Run All should meet them. tests/test_services.py runs their cells, and says whether the files are what this tool
writes."""
import json, re
from string import Template
from project import root

FOLDER,TEMPLATE = root/'services',root/'tools/services.txt'
REPOSITORY = 'latent-style/latent_style'

# What differs between the methods
TWO = '`pictures/photo`, `pictures/monet`'
MANY = '`pictures/photo`, `pictures/monet`, `pictures/ukiyoe`, and more'
BY_EXAMPLE = dict(
    styles='The style is that of the picture `REFERENCE`. Without one it is made from noise: `seed=` makes another.',
    reference='REFERENCE = None            # a picture in whose style it shall be; None: a style made from noise',
    given=', reference=REFERENCE')
BY_LABEL = dict(styles='Strokes are drawn from noise: `seed=` takes another hand.', reference='', given='')
METHODS = dict(
    cyclegan=dict(title='CycleGAN', page='nbs/03_cyclegan.ipynb', folders=TWO, **BY_LABEL,
                  promise='Two folders of your own pictures, each repainted in the manner of the other'),
    stargan=dict(title='StarGAN v2', page='nbs/04_stargan_v2.ipynb', folders=MANY, **BY_EXAMPLE,
                 promise='Any number of folders, one network, and styles that are read off an example'),
    otcfm=dict(title='Flow matching', page='nbs/05_otcfm.ipynb', folders=MANY, **BY_LABEL,
               promise='Any number of folders, one flow between them, and no adversary'),
    pixels=dict(title='StarGAN v2 on pixels', page='nbs/04b_stargan_pixels.ipynb', folders=MANY, **BY_EXAMPLE,
                promise='The original method, without an autoencoder: small pictures, and patience'))
LATENTS = dict(kind='latents', extra='sd', data='DATA', side='SIZE',
               codec="CODEC,SIZE = 'sd15',256     # the autoencoder, and the side to which pictures are brought")
PIXELS = dict(kind='pixels', extra='', data='PICTURES', side='run.side', codec='', module='stargan_pixels')

def address(name): return f'github.com/{REPOSITORY}/blob/main/services/{name}.ipynb'

def badges(name):
    "Addresses that open a notebook in the services"
    return dict(colab='https://colab.research.google.com/github/' + address(name).partition('/')[2],
                kaggle=f'https://kaggle.com/kernels/welcome?src=https://{address(name)}')

def words(name):
    "What stands for the words with a dollar sign"
    own = METHODS[name] | (PIXELS if name == 'pixels' else LATENTS)
    return dict(name=name, module=name, repository=REPOSITORY, site=f'https://github.com/{REPOSITORY}/blob/main') | \
        own | badges(name)

def cells(name):
    "Name of a cell -> its text, in order; prose has a name that ends in -text"
    given,found = words(name),{}
    for part in re.split(r'^%% ', TEMPLATE.read_text(encoding='utf-8'), flags=re.M)[1:]:
        head,_,text = part.partition('\n')
        cell,_,only = head.partition(' only ')
        if only in ('', given['kind']): found[cell] = re.sub(r'\n+$', '', Template(text).substitute(given))
    return found

def notebook(name):
    "The notebook of a method as JSON"
    def cell(key, text):
        c = dict(id=key, metadata={}, source=text.splitlines(True))
        if key.endswith('-text'): return c | dict(cell_type='markdown')
        return c | dict(cell_type='code', execution_count=None, outputs=[])
    kernel = dict(display_name='Python 3', language='python', name='python3')
    metadata = dict(accelerator='GPU', colab=dict(gpuType='T4', provenance=[]), kernelspec=kernel)
    made = [cell(key, text) for key,text in cells(name).items()]
    return dict(cells=made, metadata=metadata, nbformat=4, nbformat_minor=5)

def text_of(name): return json.dumps(notebook(name), ensure_ascii=False, indent=1, sort_keys=True)+'\n'

def main():
    FOLDER.mkdir(exist_ok=True)
    for name in METHODS: (FOLDER/f'{name}.ipynb').write_text(text_of(name), encoding='utf-8')

if __name__ == '__main__': main()
