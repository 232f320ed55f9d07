// The same dice as PyTorch's on a CPU, so that the same seed gives the same picture: see workshop/standalone.ipynb

// BLAKE2b (RFC 7693) without a key, on words of 64 bits held as two of 32: low half first
const IV = [0xf3bcc908, 0x6a09e667, 0x84caa73b, 0xbb67ae85, 0xfe94f82b, 0x3c6ef372, 0x5f1d36f1, 0xa54ff53a,
            0xade682d1, 0x510e527f, 0x2b3e6c1f, 0x9b05688c, 0xfb41bd6b, 0x1f83d9ab, 0x137e2179, 0x5be0cd19]
const SIGMA = [[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15], [14,10,4,8,9,15,13,6,1,12,0,2,11,7,5,3],
               [11,8,12,0,5,2,15,13,10,14,3,6,7,1,9,4], [7,9,3,1,13,12,11,14,2,6,5,10,4,0,15,8],
               [9,0,5,7,2,4,10,15,14,1,11,12,6,8,3,13], [2,12,6,10,0,11,8,3,4,13,7,5,15,14,1,9],
               [12,5,1,15,14,13,4,10,0,7,6,3,9,2,8,11], [13,11,7,14,12,1,3,9,5,0,15,4,8,6,2,10],
               [6,15,14,9,11,3,0,8,12,2,13,7,1,4,10,5], [10,2,8,4,7,6,1,5,15,11,9,14,3,12,13,0]]
const COLUMNS = [[0,4,8,12], [1,5,9,13], [2,6,10,14], [3,7,11,15], [0,5,10,15], [1,6,11,12], [2,7,8,13], [3,4,9,14]]

const v = new Uint32Array(32), m = new Uint32Array(32)

function add(i, low, high) {               // v[i] += the word (low, high)
  const sum = v[2*i]+low
  v[2*i+1] = v[2*i+1]+high+(sum > 0xffffffff ? 1 : 0)
  v[2*i] = sum
}

function turn(i, j, by) {                  // v[i] = (v[i] xor v[j]), turned right by `by` bits
  const low = v[2*i]^v[2*j], high = v[2*i+1]^v[2*j+1], n = by % 32
  const [a,b] = by >= 32 ? [high,low] : [low,high]
  v[2*i] = n ? (a>>>n)|(b<<(32-n)) : a
  v[2*i+1] = n ? (b>>>n)|(a<<(32-n)) : b
}

function mix(a, b, c, d, x, y) {
  add(a, v[2*b], v[2*b+1]); add(a, m[2*x], m[2*x+1]); turn(d, a, 32)
  add(c, v[2*d], v[2*d+1]); turn(b, c, 24)
  add(a, v[2*b], v[2*b+1]); add(a, m[2*y], m[2*y+1]); turn(d, a, 16)
  add(c, v[2*d], v[2*d+1]); turn(b, c, 63)
}

export function blake2b(bytes, size) {
  const h = new Uint32Array(IV), count = Math.max(1, Math.ceil(bytes.length/128)), block = new Uint8Array(128)
  h[0] ^= 0x01010000^size
  for (let k = 0; k < count; k++) {
    const last = k === count-1, seen = last ? bytes.length : 128*(k+1)
    block.fill(0)
    block.set(bytes.subarray(128*k, seen))
    new Uint8Array(m.buffer).set(block)
    v.set(h); v.set(IV, 16)
    v[24] ^= seen>>>0
    v[25] ^= Math.floor(seen/2**32)
    if (last) { v[28] = ~v[28]; v[29] = ~v[29] }
    for (let round = 0; round < 12; round++) {
      const s = SIGMA[round % 10]
      COLUMNS.forEach(([a,b,c,d], i) => mix(a, b, c, d, s[2*i], s[2*i+1]))
    }
    for (let i = 0; i < 16; i++) h[i] ^= v[i]^v[i+16]
  }
  return new Uint8Array(h.buffer).slice(0, size)
}

export const hex = bytes => [...bytes].map(x => x.toString(16).padStart(2, '0')).join('')

export function seedOf(seed, stream) {
  const text = new TextEncoder().encode(`(${Math.trunc(seed)}, 0, '${stream}')`)
  return new DataView(blake2b(text, 4).buffer).getUint32(0, true)
}

// The Mersenne Twister: 624 words, made anew whenever all are used
class Twister {
  constructor(seed) {
    this.words = new Uint32Array(624)
    this.words[0] = seed
    for (let i = 1; i < 624; i++) {
      const before = this.words[i-1]^(this.words[i-1]>>>30)
      this.words[i] = Math.imul(1812433253, before)+i
    }
    this.next = 624
  }
  renew() {
    const w = this.words
    for (let i = 0; i < 624; i++) {
      const y = (w[i]&0x80000000)|(w[(i+1) % 624]&0x7fffffff)
      w[i] = w[(i+397) % 624]^(y>>>1)^(y&1 ? 0x9908b0df : 0)
    }
    this.next = 0
  }
  draw() {
    if (this.next === 624) this.renew()
    let y = this.words[this.next++]
    y ^= y>>>11
    y ^= (y<<7)&0x9d2c5680
    y ^= (y<<15)&0xefc60000
    return (y^(y>>>18))>>>0
  }
}

export function normal(seed, count) {      // what torch.randn draws: blocks of sixteen, the last one anew
  const dice = new Twister(seed), out = new Float32Array(count)
  const uniform = () => (dice.draw()&0xffffff)/2**24
  const bell = at => {
    for (let j = at; j < at+8; j++) {
      const far = Math.sqrt(-2*Math.log(1-out[j])), angle = 2*Math.PI*out[j+8]
      out[j] = far*Math.cos(angle)
      out[j+8] = far*Math.sin(angle)
    }
  }
  for (let i = 0; i < count; i++) out[i] = uniform()
  for (let i = 0; i+16 <= count; i += 16) bell(i)
  if (count % 16) {
    for (let i = count-16; i < count; i++) out[i] = uniform()
    bell(count-16)
  }
  return out
}

export function order(seed, name, h, w, blot = 5) {   // when each place is painted, from 0 to 1
  const wide = w+blot-1, noise = normal(seedOf(seed, `order ${name}`), (h+blot-1)*wide), mean = new Float64Array(h*w)
  for (let y = 0; y < h; y++) for (let x = 0; x < w; x++) {
    let sum = 0
    for (let i = 0; i < blot; i++) for (let j = 0; j < blot; j++) sum += noise[(y+i)*wide+x+j]
    mean[y*w+x] = sum
  }
  const places = Array.from(mean.keys()).sort((a, b) => mean[a]-mean[b] || a-b), out = new Float32Array(h*w)
  places.forEach((place, rank) => { out[place] = (rank+.5)/(h*w) })
  return out
}
