// The loss of a Falcon and its gradients, with products in bfloat16, on Intel's AMX. See quick_gradients.py.
//
// Axes as everywhere: t tokens of some rows, m the model's width, n heads, g key/value heads, h a head's width,
// f the feed-forward width, v the vocabulary. All sizes are multiples of 32, the rows and columns of two tiles.
#include <immintrin.h>
#include <omp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

typedef uint16_t bf16;
template <class T>
struct Buffer {
    T* p = nullptr;
    size_t n = 0;
    T* get(size_t need) {
        if (need > n) {
            free(p);
            n = need;
            p = (T*)aligned_alloc(64, (need * sizeof(T) + 63) / 64 * 64);
        }
        return p;
    }
    ~Buffer() { free(p); }
};
typedef Buffer<float> F32;
typedef Buffer<bf16> B16;

// === Products ===

struct __attribute__((packed)) TileConfig {
    uint8_t palette = 1, start = 0, reserved[14] = {};
    uint16_t bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

static void use_tiles() {
    static thread_local bool done = false;
    if (done) return;
    syscall(SYS_arch_prctl, 0x1023, 18);
    done = true;
}

// c (m, n) = or += a (m, k) row by row, times b (k / 2, n, 2): rows of b in pairs.
static void multiply(const bf16* a, int lda, const bf16* b, int ldb, float* c, int ldc, int m, int n, int k,
                     bool add) {
    TileConfig config;
    _tile_loadconfig(&config);
    for (int j = 0; j < n; j += 32)
        for (int i = 0; i < m; i += 32) {
            float* at = c + (size_t)i * ldc + j;
            if (add) {
                _tile_loadd(0, at, ldc * 4);
                _tile_loadd(1, at + 16, ldc * 4);
                _tile_loadd(2, at + 16 * (size_t)ldc, ldc * 4);
                _tile_loadd(3, at + 16 * (size_t)ldc + 16, ldc * 4);
            } else {
                _tile_zero(0);
                _tile_zero(1);
                _tile_zero(2);
                _tile_zero(3);
            }
            for (int l = 0; l < k; l += 32) {
                const bf16* left = a + (size_t)i * lda + l;
                const bf16* right = b + ((size_t)(l / 2) * ldb + j) * 2;
                _tile_loadd(4, left, lda * 2);
                _tile_loadd(5, left + 16 * (size_t)lda, lda * 2);
                _tile_loadd(6, right, ldb * 4);
                _tile_loadd(7, right + 32, ldb * 4);
                _tile_dpbf16ps(0, 4, 6);
                _tile_dpbf16ps(1, 4, 7);
                _tile_dpbf16ps(2, 5, 6);
                _tile_dpbf16ps(3, 5, 7);
            }
            _tile_stored(0, at, ldc * 4);
            _tile_stored(1, at + 16, ldc * 4);
            _tile_stored(2, at + 16 * (size_t)ldc, ldc * 4);
            _tile_stored(3, at + 16 * (size_t)ldc + 16, ldc * 4);
        }
}

// e to the x, to seven digits. A call of expf keeps a loop from being computed sixteen numbers at a time.
static inline float exponential(float x) {
    float power = std::max(x * 1.44269504f, -126.0f);
    float whole = std::nearbyint(power), y = (power - whole) * 0.69314718f;
    float series = 1 + y * (1 + y * (1 / 2.0f + y * (1 / 6.0f + y * (1 / 24.0f + y * (1 / 120.0f + y / 720.0f)))));
    return series * __builtin_bit_cast(float, ((int)whole + 127) << 23);
}

// e to each x - top, in its place; returns the sum.
static float exponentials(float* x, int n, float top) {
    float sum = 0;
    for (int j = 0; j < n; j++) {
        x[j] = exponential(x[j] - top);
        sum += x[j];
    }
    return sum;
}

static void narrow(const float* x, bf16* y, size_t n) {
    for (size_t i = 0; i < n; i += 16)
        _mm256_store_si256((__m256i*)(y + i), (__m256i)_mm512_cvtneps_pbh(_mm512_loadu_ps(x + i)));
}

// Rows in pairs: (k, n) to (k / 2, n, 2).
static void pair_rows(const bf16* x, int ldx, bf16* y, int k, int n) {
    alignas(64) static const uint16_t order[32] = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                                   8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    __m512i index = _mm512_load_si512(order);
    for (int l = 0; l < k; l += 2)
        for (int j = 0; j < n; j += 16) {
            __m256i even = _mm256_loadu_si256((const __m256i*)(x + (size_t)l * ldx + j));
            __m256i odd = _mm256_loadu_si256((const __m256i*)(x + (size_t)(l + 1) * ldx + j));
            __m512i both = _mm512_inserti64x4(_mm512_castsi256_si512(even), odd, 1);
            _mm512_storeu_si512(y + ((size_t)(l / 2) * n + j) * 2, _mm512_permutexvar_epi16(index, both));
        }
}

// Numbers of four bytes: (r, c) with ld to (c, r).
static void transpose(const uint32_t* x, int ldx, uint32_t* y, int ldy, int r, int c) {
    for (int i = 0; i < r; i += 16)
        for (int j = 0; j < c; j += 16)
            for (int l = 0; l < 16; l++) {
                __m512i index = _mm512_mullo_epi32(
                    _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0), _mm512_set1_epi32(ldx));
                __m512i column = _mm512_i32gather_epi32(index, x + (size_t)i * ldx + j + l, 4);
                _mm512_storeu_si512(y + (size_t)(j + l) * ldy + i, column);
            }
}

// Pairs along the columns: (n, k) row by row to (k / 2, n, 2), the pairs of its transpose.
static void pair_columns(const bf16* x, int ldx, bf16* y, int n, int k) {
    transpose((const uint32_t*)x, ldx / 2, (uint32_t*)y, n, n, k / 2);
}

// (k, n) in pairs of rows to its transpose row by row, (n, k).
static void turn(const bf16* pairs, bf16* y, int k, int n) {
    transpose((const uint32_t*)pairs, n, (uint32_t*)y, k / 2, k / 2, n);
}

// === The model ===

struct Layer {
    const float *gamma1, *beta1, *gamma2, *beta2, *wq, *bq, *wk, *bk, *wv, *bv, *wo, *bo, *w1, *b1, *w2, *b2;
};
struct Grad {
    float *gamma1, *beta1, *gamma2, *beta2, *wq, *bq, *wk, *bk, *wv, *bv, *wo, *bo, *w1, *b1, *w2, *b2;
};
const int SLOTS = 16;  // arrays of a layer

struct Shape {
    int layers, m, n, g, h, f, v, rope, parallel, norms;
    float epsilon, base;
};

// A matrix (rows, columns) in the two forms that products want.
struct Matrix {
    B16 pairs, turned;  // of itself; of its transpose
    void set(const float* w, int rows, int columns) {
        B16 narrow_;
        bf16* x = narrow_.get((size_t)rows * columns);
        narrow(w, x, (size_t)rows * columns);
        pair_rows(x, columns, pairs.get((size_t)rows * columns), rows, columns);
        pair_columns(x, columns, turned.get((size_t)rows * columns), rows, columns);
    }
};
struct Packed {
    Matrix wq, wk, wv, wo, w1, w2;
};

// What a layer keeps for its gradient.
struct Kept {
    F32 xhat1, scale1, xhat2, scale2, up;
    B16 normed1, normed2, query, key, value, weights, heads, gelu;
};

static void norm(const float* x, const float* gamma, const float* beta, float eps, int t, int m, float* xhat,
                 float* scale, bf16* y, float* out) {
    for (int i = 0; i < t; i++) {
        const float* row = x + (size_t)i * m;
        float sum = 0, squares = 0;
        for (int j = 0; j < m; j++) sum += row[j];
        float mean = sum / m;
        for (int j = 0; j < m; j++) squares += (row[j] - mean) * (row[j] - mean);
        float s = 1 / std::sqrt(squares / m + eps);
        scale[i] = s;
        float* hat = xhat + (size_t)i * m;
        float* o = out + (size_t)i * m;
        for (int j = 0; j < m; j++) {
            hat[j] = (row[j] - mean) * s;
            o[j] = hat[j] * gamma[j] + beta[j];
        }
    }
    narrow(out, y, (size_t)t * m);
}

// dx += the gradient of the norm's input, given that of its output.
static void norm_back(const float* dy, const float* gamma, const float* xhat, const float* scale, int t, int m,
                      float* dx, float* dgamma, float* dbeta) {
    for (int i = 0; i < t; i++) {
        const float *d = dy + (size_t)i * m, *hat = xhat + (size_t)i * m;
        float* o = dx + (size_t)i * m;
        float a = 0, b = 0;
        for (int j = 0; j < m; j++) {
            float y = d[j] * gamma[j];
            a += y;
            b += y * hat[j];
            dgamma[j] += d[j] * hat[j];
            dbeta[j] += d[j];
        }
        a /= m;
        b /= m;
        for (int j = 0; j < m; j++) o[j] += scale[i] * (d[j] * gamma[j] - a - hat[j] * b);
    }
}

static void add_bias(float* y, const float* b, int t, int n) {
    if (b)
        for (int i = 0; i < t; i++)
            for (int j = 0; j < n; j++) y[(size_t)i * n + j] += b[j];
}

struct Worker {
    std::vector<Kept> kept;
    F32 stream, out, extra, dstream, dnormed, dheads, dq, dk, dv, scores, dscores, cosine, sine, logits, hat, scale,
        small, gradient;
    B16 narrow1, narrow2, narrow3, narrow4, narrow5, narrow6, final_;

    // dw (in, out) += x (t, in)^T dy (t, out); db += the sum of dy; dx = or += dy w^T.
    void dense_back(const bf16* x, const float* dy, const Matrix& w, int t, int in, int out, float* dw, float* db,
                    float* dx, bool add) {
        bf16* d = narrow1.get((size_t)t * out);
        narrow(dy, d, (size_t)t * out);
        bf16* pairs = narrow2.get((size_t)t * std::max(in, out));
        pair_rows(x, in, pairs, t, in);
        bf16* turned = narrow3.get((size_t)t * in);
        turn(pairs, turned, t, in);
        pair_rows(d, out, pairs, t, out);
        multiply(turned, t, pairs, out, dw, out, in, out, t, true);
        multiply(d, out, w.turned.p, in, dx, in, t, in, out, add);
        if (db)
            for (int i = 0; i < t; i++)
                for (int j = 0; j < out; j++) db[j] += dy[(size_t)i * out + j];
    }

    void rotate(float* x, int t, int length, int heads, int h, float sign) {
        int half = h / 2;
        for (int i = 0; i < t; i++) {
            const float *c = cosine.p + (size_t)(i % length) * half, *s = sine.p + (size_t)(i % length) * half;
            for (int k = 0; k < heads; k++) {
                float* at = x + ((size_t)i * heads + k) * h;
                for (int j = 0; j < half; j++) {
                    float a = at[j], b = at[j + half];
                    at[j] = a * c[j] - sign * b * s[j];
                    at[j + half] = b * c[j] + sign * a * s[j];
                }
            }
        }
    }

    // Run rows of one length, and add their gradients; returns the sum of the losses.
    double run(const Shape& s, const float* embedding, const Matrix& table, const std::vector<Layer>& layers,
               const std::vector<Packed>& packed, const float* gamma, const float* beta, float* dembedding,
               const std::vector<Grad>& grads, float* dgamma, float* dbeta, const int32_t* ids, int stride,
               const int32_t* lengths, int rows, int length, float weight, const float* slopes) {
        int t = rows * length, m = s.m, n = s.n, g = s.g, h = s.h, f = s.f, v = s.v, group = n / g;
        size_t tm = (size_t)t * m;
        use_tiles();
        kept.resize(s.layers);
        float* x = stream.get(tm);
        float* y = out.get((size_t)t * std::max({m, f, v}));
        for (int r = 0; r < rows; r++)
            for (int i = 0; i < length; i++)
                memcpy(x + ((size_t)r * length + i) * m, embedding + (size_t)ids[(size_t)r * stride + i] * m, m * 4);
        if (s.rope) {
            int half = h / 2;
            cosine.get((size_t)length * half);
            sine.get((size_t)length * half);
            for (int i = 0; i < length; i++)
                for (int j = 0; j < half; j++) {
                    float angle = i * std::pow(s.base, -(float)j / half);
                    cosine.p[(size_t)i * half + j] = std::cos(angle);
                    sine.p[(size_t)i * half + j] = std::sin(angle);
                }
        }
        size_t square = (size_t)length * length;
        float* score = scores.get(square);
        float inverse = 1 / std::sqrt((float)h);

        for (int l = 0; l < s.layers; l++) {
            Kept& k = kept[l];
            const Layer& w = layers[l];
            const Packed& p = packed[l];
            norm(x, w.gamma1, w.beta1, s.epsilon, t, m, k.xhat1.get(tm), k.scale1.get(t), k.normed1.get(tm), y);
            // The MLP has a norm of its own, of the stream before attention or after it, or shares the first.
            const bf16* for_mlp = k.normed1.p;
            auto norm_for_mlp = [&] {
                norm(x, w.gamma2, w.beta2, s.epsilon, t, m, k.xhat2.get(tm), k.scale2.get(t), k.normed2.get(tm), y);
                for_mlp = k.normed2.p;
            };
            if (s.parallel && s.norms == 2) norm_for_mlp();
            auto project = [&](const Matrix& matrix, const float* bias, int heads, B16& into, bool turn_) {
                multiply(k.normed1.p, m, matrix.pairs.p, heads * h, y, heads * h, t, heads * h, m, false);
                add_bias(y, bias, t, heads * h);
                if (turn_ && s.rope) rotate(y, t, length, heads, h, 1);
                narrow(y, into.get((size_t)t * heads * h), (size_t)t * heads * h);
            };
            project(p.wq, w.bq, n, k.query, true);
            project(p.wk, w.bk, g, k.key, true);
            project(p.wv, w.bv, g, k.value, false);
            bf16* kt = narrow1.get((size_t)length * h);
            bf16* vp = narrow2.get((size_t)length * h);
            bf16* all = k.weights.get((size_t)rows * n * square);
            float* heads_out = extra.get((size_t)t * n * h);
            for (int r = 0; r < rows; r++)
                for (int a = 0; a < n; a++) {
                    const bf16* q = k.query.p + ((size_t)r * length * n + a) * h;
                    const bf16* key = k.key.p + ((size_t)r * length * g + a / group) * h;
                    const bf16* value = k.value.p + ((size_t)r * length * g + a / group) * h;
                    pair_columns(key, g * h, kt, length, h);
                    pair_rows(value, g * h, vp, length, h);
                    multiply(q, n * h, kt, length, score, length, length, length, h, false);
                    for (int i = 0; i < length; i++) {
                        float* row = score + (size_t)i * length;
                        float top = -1e30f, slope = s.rope ? 0 : slopes[a];
                        for (int j = 0; j <= i; j++) {
                            row[j] = (row[j] + slope * j) * inverse;
                            top = std::max(top, row[j]);
                        }
                        float sum = exponentials(row, i + 1, top);
                        float over = 1 / sum;
                        for (int j = 0; j <= i; j++) row[j] *= over;
                        for (int j = i + 1; j < length; j++) row[j] = 0;
                    }
                    bf16* weights = all + ((size_t)r * n + a) * square;
                    narrow(score, weights, square);
                    multiply(weights, length, vp, h, heads_out + ((size_t)r * length * n + a) * h, n * h, length, h,
                             length, false);
                }
            narrow(heads_out, k.heads.get((size_t)t * n * h), (size_t)t * n * h);
            multiply(k.heads.p, n * h, p.wo.pairs.p, m, y, m, t, m, n * h, false);
            add_bias(y, w.bo, t, m);
            for (size_t i = 0; i < tm; i++) x[i] += y[i];
            if (!s.parallel) norm_for_mlp();
            float* up = k.up.get((size_t)t * f);
            multiply(for_mlp, m, p.w1.pairs.p, f, up, f, t, f, m, false);
            add_bias(up, w.b1, t, f);
            for (size_t i = 0; i < (size_t)t * f; i++) y[i] = 0.5f * up[i] * (1 + erff(up[i] * 0.70710678f));
            narrow(y, k.gelu.get((size_t)t * f), (size_t)t * f);
            multiply(k.gelu.p, f, p.w2.pairs.p, m, y, m, t, m, f, false);
            add_bias(y, w.b2, t, m);
            for (size_t i = 0; i < tm; i++) x[i] += y[i];
        }

        // The head, which is the embedding.
        norm(x, gamma, beta, s.epsilon, t, m, hat.get(tm), scale.get(t), final_.get(tm), y);
        float* logit = logits.get((size_t)t * v);
        multiply(final_.p, m, table.turned.p, v, logit, v, t, v, m, false);
        double loss = 0;
        for (int r = 0; r < rows; r++)
            for (int i = 0; i < length; i++) {
                float* row = logit + ((size_t)r * length + i) * v;
                if (i >= lengths[r]) {
                    memset(row, 0, v * 4);
                    continue;
                }
                int right = ids[(size_t)r * stride + i + 1];
                float top = -1e30f;
                for (int j = 0; j < v; j++) top = std::max(top, row[j]);
                float of_right = row[right];
                float sum = exponentials(row, v, top);
                loss += std::log(sum) + top - of_right;
                float over = weight / sum;
                for (int j = 0; j < v; j++) row[j] *= over;
                row[right] -= weight;
            }
        // The table is (v, m): its gradient is that of the logits, turned, times the normed stream.
        bf16* dl = narrow4.get((size_t)t * v);
        narrow(logit, dl, (size_t)t * v);
        bf16* pairs = narrow5.get((size_t)t * std::max(v, m));
        pair_rows(dl, v, pairs, t, v);
        bf16* turned = narrow6.get((size_t)t * v);
        turn(pairs, turned, t, v);
        pair_rows(final_.p, m, pairs, t, m);
        multiply(turned, t, pairs, m, dembedding, m, v, m, t, true);
        float* dn = dnormed.get((size_t)t * std::max(m, f));
        multiply(dl, v, table.pairs.p, m, dn, m, t, m, v, false);
        float* dx = dstream.get(tm);
        memset(dx, 0, tm * 4);
        norm_back(dn, gamma, hat.p, scale.p, t, m, dx, dgamma, dbeta);

        for (int l = s.layers - 1; l >= 0; l--) {
            Kept& k = kept[l];
            const Layer& w = layers[l];
            const Packed& p = packed[l];
            const Grad& d = grads[l];
            bool own = !s.parallel || s.norms == 2;
            float* du = gradient.get((size_t)t * f);
            dense_back(k.gelu.p, dx, p.w2, t, f, m, d.w2, d.b2, du, false);
            for (size_t i = 0; i < (size_t)t * f; i++) {
                float u = k.up.p[i];
                du[i] *= 0.5f * (1 + erff(u * 0.70710678f)) + u * 0.39894228f * exponential(-0.5f * u * u);
            }
            float* din = dn;
            dense_back(own ? k.normed2.p : k.normed1.p, du, p.w1, t, m, f, d.w1, d.b1, din, false);
            // The stream's own gradient goes on; what passes the norms is added where they read it.
            float* dattention = dx;
            if (s.parallel) {
                memcpy(out.get(tm), dx, tm * 4);
                dattention = out.p;
            }
            if (own) norm_back(din, w.gamma2, k.xhat2.p, k.scale2.p, t, m, dx, d.gamma2, d.beta2);
            float* dh = dheads.get((size_t)t * n * h);
            dense_back(k.heads.p, dattention, p.wo, t, n * h, m, d.wo, d.bo, dh, false);
            float* dquery = dq.get((size_t)t * n * h);
            float* dkey = dk.get((size_t)t * g * h);
            float* dvalue = dv.get((size_t)t * g * h);
            memset(dkey, 0, (size_t)t * g * h * 4);
            memset(dvalue, 0, (size_t)t * g * h * 4);
            float* dscore = dscores.get(square);
            bf16* dhb = narrow4.get((size_t)t * n * h);
            narrow(dh, dhb, (size_t)t * n * h);
            bf16* a1 = narrow1.get(std::max(square, (size_t)length * h));
            bf16* a2 = narrow2.get(std::max(square, (size_t)length * h));
            bf16* a3 = narrow3.get(std::max(square, (size_t)length * h));
            bf16* a5 = narrow5.get((size_t)length * h);
            for (int r = 0; r < rows; r++)
                for (int a = 0; a < n; a++) {
                    size_t at_q = ((size_t)r * length * n + a) * h, at_k = ((size_t)r * length * g + a / group) * h;
                    const bf16* weights = k.weights.p + ((size_t)r * n + a) * square;
                    const bf16* dhead = dhb + at_q;
                    // Values: weights^T dhead.
                    pair_rows(weights, length, a1, length, length);
                    turn(a1, a2, length, length);
                    pair_rows(dhead, n * h, a5, length, h);
                    multiply(a2, length, a5, h, dvalue + at_k, g * h, length, h, length, true);
                    // Weights: dhead value^T.
                    pair_columns(k.value.p + at_k, g * h, a5, length, h);
                    multiply(dhead, n * h, a5, length, dscore, length, length, length, h, false);
                    for (int i = 0; i < length; i++) {
                        float* row = dscore + (size_t)i * length;
                        const bf16* p_row = weights + (size_t)i * length;
                        float sum = 0;
                        for (int j = 0; j <= i; j++) {
                            uint32_t bits = (uint32_t)p_row[j] << 16;
                            float weight_;
                            memcpy(&weight_, &bits, 4);
                            sum += weight_ * row[j];
                        }
                        for (int j = 0; j <= i; j++) {
                            uint32_t bits = (uint32_t)p_row[j] << 16;
                            float weight_;
                            memcpy(&weight_, &bits, 4);
                            row[j] = weight_ * (row[j] - sum) * inverse;
                        }
                        for (int j = i + 1; j < length; j++) row[j] = 0;
                    }
                    narrow(dscore, a3, square);
                    pair_rows(k.key.p + at_k, g * h, a5, length, h);
                    multiply(a3, length, a5, h, dquery + at_q, n * h, length, h, length, false);
                    pair_rows(a3, length, a1, length, length);
                    turn(a1, a2, length, length);
                    pair_rows(k.query.p + at_q, n * h, a5, length, h);
                    multiply(a2, length, a5, h, dkey + at_k, g * h, length, h, length, true);
                }
            if (s.rope) {
                rotate(dquery, t, length, n, h, -1);
                rotate(dkey, t, length, g, h, -1);
            }
            float* dn1 = extra.get(tm);
            dense_back(k.normed1.p, dquery, p.wq, t, m, n * h, d.wq, d.bq, dn1, false);
            dense_back(k.normed1.p, dkey, p.wk, t, m, g * h, d.wk, d.bk, dn1, true);
            dense_back(k.normed1.p, dvalue, p.wv, t, m, g * h, d.wv, d.bv, dn1, true);
            if (!own)
                for (size_t i = 0; i < tm; i++) dn1[i] += din[i];
            norm_back(dn1, w.gamma1, k.xhat1.p, k.scale1.p, t, m, dx, d.gamma1, d.beta1);
        }
        for (int r = 0; r < rows; r++)
            for (int i = 0; i < length; i++) {
                float* to = dembedding + (size_t)ids[(size_t)r * stride + i] * m;
                const float* from = dx + ((size_t)r * length + i) * m;
                for (int j = 0; j < m; j++) to[j] += from[j];
            }
        return loss;
    }
};

// weights and gradients: the embedding, SLOTS for each layer (null where there is none), gamma, beta.
extern "C" double gradients(const Shape* shape, const float** weights, float** into, const int64_t* sizes,
                            const int32_t* ids, const int32_t* lengths, int rows, int length, int chunk,
                            int threads) {
    const Shape& s = *shape;
    int count = 1 + s.layers * SLOTS + 2;
    std::vector<Layer> layers(s.layers);
    memcpy(layers.data(), weights + 1, s.layers * sizeof(Layer));
    static std::vector<Packed> packed;
    static Matrix table;
    packed.resize(s.layers);
    static std::vector<Worker> workers;
    static std::vector<std::vector<float>> memory;
    if ((int)workers.size() < threads) {
        workers = std::vector<Worker>(threads);
        memory.resize(threads);
    }
    int64_t total_size = 0, labels = 0;
    for (int i = 0; i < count; i++) total_size += weights[i] ? sizes[i] : 0;
    for (int r = 0; r < rows; r++) labels += lengths[r];
    std::vector<float> slopes(s.n);
    for (int a = 0; a < s.n; a++) slopes[a] = std::pow(2.0, -8.0 * (a + 1) / s.n);
    double loss = 0;
    omp_set_num_threads(threads);
#pragma omp parallel reduction(+ : loss)
    {
        int me = omp_get_thread_num();
#pragma omp for schedule(dynamic)
        for (int l = 0; l <= s.layers; l++) {
            if (l == s.layers) {
                table.set(weights[0], s.v, s.m);
                continue;
            }
            Packed& p = packed[l];
            p.wq.set(layers[l].wq, s.m, s.n * s.h);
            p.wk.set(layers[l].wk, s.m, s.g * s.h);
            p.wv.set(layers[l].wv, s.m, s.g * s.h);
            p.wo.set(layers[l].wo, s.n * s.h, s.m);
            p.w1.set(layers[l].w1, s.m, s.f);
            p.w2.set(layers[l].w2, s.f, s.m);
        }
        std::vector<float>& own = memory[me];
        own.assign(total_size, 0);
        std::vector<float*> at(count, nullptr);
        float* next = own.data();
        for (int i = 0; i < count; i++)
            if (weights[i]) {
                at[i] = next;
                next += sizes[i];
            }
        std::vector<Grad> grads(s.layers);
        memcpy(grads.data(), at.data() + 1, s.layers * sizeof(Grad));
#pragma omp for schedule(static, 1)  // always the same sums
        for (int r = 0; r < rows; r += chunk)
            loss += workers[me].run(s, weights[0], table, layers, packed, weights[count - 2], weights[count - 1], at[0],
                                    grads, at[count - 2], at[count - 1], ids + (size_t)r * (length + 1), length + 1,
                                    lengths + r, std::min(chunk, rows - r), length, 1.0f / labels, slopes.data());
    }
    int64_t offset = 0;
    for (int i = 0; i < count; i++) {
        if (!weights[i]) continue;
        for (int64_t j = 0; j < sizes[i]; j++) {
            float sum = 0;
            for (int w = 0; w < threads; w++) sum += memory[w][offset + j];
            into[i][j] = sum;
        }
        offset += sizes[i];
    }
    return loss / labels;
}
