// A run's graphs, computed by onnxruntime-web; the counterpart of standalone.Painter
import {blake2b, hex, normal, order, seedOf} from './dice.js'

export class Painter {
  constructor(ort, base, run, codec, gpu) { Object.assign(this, {ort, base, run, codec, gpu, sessions: {}, bytes: 0}) }

  async session(file, tell = () => {}) {
    if (!this.sessions[file]) {
      tell(`loading ${file}`)
      const data = new Uint8Array(await (await fetch(`${this.base}/${file}`)).arrayBuffer())
      this.bytes += data.length
      const options = {executionProviders: this.gpu ? ['webgpu','wasm'] : ['wasm'], logSeverityLevel: 3}
      this.sessions[file] = await this.ort.InferenceSession.create(data, options)
    }
    return this.sessions[file]
  }

  tensor(data, shape) { return new this.ort.Tensor('float32', data, shape) }
  label(i) { return new this.ort.Tensor('int64', BigInt64Array.of(BigInt(i)), [1]) }

  async compute(file, inputs, tell) { return (await (await this.session(file, tell)).run(inputs)).result }

  async style(i, seed, reference) {
    const n = this.run.config.style, at = name => `${this.run.folder}/${name}.onnx`
    if (reference) return this.compute(at('style_of'), {latent: reference, domain: this.label(i)})
    const noise = this.tensor(normal(seedOf(seed, 'style'), n), [1,n])
    return this.compute(at('style'), {noise, domain: this.label(i)})
  }

  async encode(picture, tell) {             // {data, width, height}: numbers (3,h,w) in [-1,1]
    const {data,width,height} = padded(picture, this.run.config.multiple)
    return this.compute(`${this.codec}/encode.onnx`, {picture: this.tensor(data, [1,3,height,width])}, tell)
  }

  beside(seed, name, h, w) {
    const hand = this.run.config.hand
    const noise = normal(seedOf(seed, `${hand.stream} ${name}`), hand.channels*h*w)
    if (!hand.order) return this.tensor(noise, [1,hand.channels,h,w])
    const both = new Float32Array(noise.length+h*w)
    both.set(noise)
    both.set(order(seed, name, h, w), noise.length)
    return this.tensor(both, [1,hand.channels+1,h,w])
  }

  async paint(picture, {to, strength = 1, seed = 0, reference = null, tell = () => {}}) {
    const c = this.run.config, i = c.domains.indexOf(to), z = await this.encode(picture, tell)
    const given = {latent: z, strength: this.tensor(Float32Array.of(strength), [])}
    const name = hex(blake2b(new Uint8Array(picture.data.buffer), 8)), [,,h,w] = z.dims
    if (c.hand) given.beside = this.beside(seed, name, h, w)
    if (c.style) given.style = await this.style(i, seed, reference && await this.encode(reference, tell))
    if (c.labelled) given.domain = this.label(i)
    const y = await this.compute(`${this.run.folder}/${c.apart ? `to_${to}` : 'carry'}.onnx`, given, tell)
    const out = await this.compute(`${this.codec}/decode.onnx`, {latent: y}, tell)
    return cropped(out.data, out.dims[3], out.dims[2], picture.width, picture.height)
  }
}

const mirrored = (i, n) => i < n ? i : Math.max(0, 2*n-2-i)

function padded({data, width, height}, multiple) {
  const w = Math.ceil(width/multiple)*multiple, h = Math.ceil(height/multiple)*multiple
  if (w === width && h === height) return {data, width, height}
  const out = new Float32Array(3*w*h)
  for (let c = 0; c < 3; c++) for (let y = 0; y < h; y++) for (let x = 0; x < w; x++)
    out[(c*h+y)*w+x] = data[(c*height+mirrored(y, height))*width+mirrored(x, width)]
  return {data: out, width: w, height: h}
}

function cropped(data, w, h, width, height) {
  const out = new Float32Array(3*width*height)
  for (let c = 0; c < 3; c++) for (let y = 0; y < height; y++)
    out.set(data.subarray((c*h+y)*w, (c*h+y)*w+width), (c*height+y)*width)
  return {data: out, width, height}
}

export function fromPixels(image) {         // ImageData -> numbers (3,h,w) in [-1,1]
  const {width, height} = image, n = width*height, data = new Float32Array(3*n)
  for (let i = 0; i < n; i++) for (let c = 0; c < 3; c++) data[c*n+i] = Math.fround(image.data[4*i+c]/127.5)-1
  return {data, width, height}
}

export function toPixels({data, width, height}) {
  const n = width*height, image = new ImageData(width, height)
  for (let i = 0; i < n; i++) {
    for (let c = 0; c < 3; c++) image.data[4*i+c] = Math.round((data[c*n+i]+1)*127.5)
    image.data[4*i+3] = 255
  }
  return image
}
