/* Group normalisation (Wu and He 2018) and batch normalisation (Ioffe and Szegedy 2015).
 *
 * Sums are taken about a pivot (the first pixel), so that a large mean does not swallow a small variance, and parts are
 * combined by the rule of Chan, Golub and LeVeque 1979. With z = the gradient of the normalised, scaled output:
 *   xhat = (x - mean) rstd
 *   dgamma = sum z xhat,  dbeta = sum z
 *   dx = rstd (gamma z - (sum gamma z) / N - xhat (sum gamma z xhat) / N)     sums over the N values of the group
 */
#include "nn/net.h"

#include <math.h>
#include <string.h>

/* Small arrays of one tile each, in the workspace. */
typedef struct tiles {
    float *pivot, *scratch, *a, *b, *c;
    double *s1, *s2, *channel1, *channel2;
} tiles;

static tiles tiles_of(const nn_run *run) {
    size_t n = (run->net->tile_floats + 15) / 16 * 16;
    float *at = run->workspace + run->net->tiles;
    tiles t = {.pivot = at, .scratch = at + n, .a = at + 3 * n, .b = at + 4 * n, .c = at + 5 * n};
    t.s1 = (double *)(void *)(at + 6 * n);
    t.s2 = t.s1 + n;
    t.channel1 = t.s2 + n;
    t.channel2 = t.channel1 + n;
    return t;
}

static void repeat(float *array, size_t period, size_t length) {
    for (size_t k = period; k < length; k++)
        array[k] = array[k - period];
}

/* Tile positions of one channel added up, in order. */
static void fold(const double *s, size_t tile, size_t c, double *channel) {
    memcpy(channel, s, c * sizeof *channel);
    for (size_t k = c; k < tile; k++)
        channel[k % c] += s[k];
}

/* Mean and sum of squared differences from it, per channel, of `n` values. */
static void channel_moments(const nn_kernels *k, const float *x, size_t n, size_t c, tiles *t) {
    size_t tile = nn_tile(c);
    const size_t rows = n / c;
    double count = (double)rows;
    memcpy(t->pivot, x, c * sizeof *x);
    repeat(t->pivot, c, tile);
    k->moments(x, n, tile, t->pivot, t->s1, t->s2, t->scratch);
    fold(t->s1, tile, c, t->channel1);
    fold(t->s2, tile, c, t->channel2);
    for (size_t i = 0; i < c; i++) {
        double shift = t->channel1[i] / count;
        double squares = t->channel2[i] - t->channel1[i] * shift;
        t->channel1[i] = (double)t->pivot[i] + shift;
        t->channel2[i] = squares > 0.0 ? squares : 0.0;
    }
}

/* --- group normalisation --- */

size_t nn_group_norm_saved(const nn_op *op) {
    return 2 * (size_t)op->layer->groups;
}

void nn_group_norm_forward(const nn_op *op, const nn_run *run, const float *x, float *y) {
    const nn_layer *l = op->layer;
    const nn_kernels *k = run->net->kernels;
    const float *gamma = nn_values(op, run, 0), *beta = nn_values(op, run, 1);
    size_t c = l->in.c, per_group = c / l->groups, tile = nn_tile(c);
    double pixels = (double)((size_t)l->in.d * l->in.h * l->in.w);
    tiles t = tiles_of(run);
    for (size_t i = 0; i < run->net->shard_images; i++, x += op->in, y += op->in) {
        float *saved = run->workspace + op->saved + i * nn_group_norm_saved(op);
        channel_moments(k, x, op->in, c, &t);
        for (size_t g = 0; g < l->groups; g++) {
            double mean = 0.0, squares = 0.0;
            for (size_t j = g * per_group; j < (g + 1) * per_group; j++)
                mean += t.channel1[j];
            mean /= (double)per_group;
            for (size_t j = g * per_group; j < (g + 1) * per_group; j++) {
                double d = t.channel1[j] - mean;
                squares += t.channel2[j] + pixels * d * d;
            }
            double rstd = 1.0 / sqrt(squares / (pixels * (double)per_group) + l->epsilon);
            saved[2 * g] = (float)mean;
            saved[2 * g + 1] = (float)rstd;
            for (size_t j = g * per_group; j < (g + 1) * per_group; j++) {
                t.a[j] = (float)((double)gamma[j] * rstd);
                t.b[j] = (float)((double)beta[j] - (double)gamma[j] * rstd * mean);
            }
        }
        repeat(t.a, c, tile);
        repeat(t.b, c, tile);
        k->affine(x, y, op->in, tile, t.a, t.b, l->relu);
    }
}

void nn_group_norm_backward(const nn_op *op, const nn_run *run, const float *x, const float *y, float *dy, float *dx) {
    const nn_layer *l = op->layer;
    const nn_kernels *k = run->net->kernels;
    const float *gamma = nn_values(op, run, 0);
    float *dgamma = nn_gradient(op, run, 0), *dbeta = nn_gradient(op, run, 1);
    size_t c = l->in.c, per_group = c / l->groups, tile = nn_tile(c);
    double n = (double)((size_t)l->in.d * l->in.h * l->in.w * per_group);
    tiles t = tiles_of(run);
    memset(dgamma, 0, c * sizeof *dgamma);
    memset(dbeta, 0, c * sizeof *dbeta);
    for (size_t i = 0; i < run->net->shard_images; i++, x += op->in, y += op->in, dy += op->in) {
        const float *saved = run->workspace + op->saved + i * nn_group_norm_saved(op);
        if (l->relu) k->relu_backward(dy, y, op->in);
        for (size_t j = 0; j < c; j++)
            t.pivot[j] = saved[2 * (j / per_group)];
        repeat(t.pivot, c, tile);
        k->moments2(x, dy, op->in, tile, t.pivot, t.s1, t.s2, t.scratch);
        fold(t.s1, tile, c, t.channel1);
        fold(t.s2, tile, c, t.channel2);
        for (size_t g = 0; g < l->groups; g++) {
            double mean = (double)saved[2 * g], rstd = (double)saved[2 * g + 1], sum = 0.0, sum_xhat = 0.0;
            for (size_t j = g * per_group; j < (g + 1) * per_group; j++) {
                dgamma[j] += (float)(t.channel2[j] * rstd);
                dbeta[j] += (float)t.channel1[j];
                sum += (double)gamma[j] * t.channel1[j];
                sum_xhat += (double)gamma[j] * t.channel2[j] * rstd;
            }
            double slope = -rstd * rstd * sum_xhat / n;
            for (size_t j = g * per_group; j < (g + 1) * per_group; j++) {
                t.a[j] = (float)((double)gamma[j] * rstd);
                t.b[j] = (float)slope;
                t.c[j] = (float)(-rstd * sum / n - slope * mean);
            }
        }
        if (dx == NULL) continue;
        repeat(t.a, c, tile);
        repeat(t.b, c, tile);
        repeat(t.c, c, tile);
        k->affine2(x, dy, dx + i * op->in, op->in, tile, t.a, t.b, t.c);
    }
}

/* --- batch normalisation --- */

static size_t real_values(const nn_op *op, const nn_run *run) {
    return run->n_valid * op->in;
}

/* Two numbers per channel for this shard. */
static double *shard_sums(const nn_op *op, const nn_run *run) {
    return run->syncs[op->sync].shard_sums + (size_t)run->shard * (2 * (size_t)op->layer->in.c + 1);
}

void nn_batch_norm_sums(const nn_op *op, const nn_run *run, const float *x) {
    size_t c = op->layer->in.c, n = real_values(op, run);
    double *sums = shard_sums(op, run);
    tiles t = tiles_of(run);
    const size_t rows = n / c;
    sums[2 * c] = (double)rows;
    if (n == 0) return;
    channel_moments(run->net->kernels, x, n, c, &t);
    memcpy(sums, t.channel1, c * sizeof *sums);
    memcpy(sums + c, t.channel2, c * sizeof *sums);
}

void nn_batch_norm_between(const nn_net *net, const nn_op *op, nn_sync *sync, float *weights) {
    const nn_layer *l = op->layer;
    const msfl_tensor *tensors = &net->arch->tensors[l->first_tensor];
    float *moving_mean = weights + tensors[2].offset, *moving_variance = weights + tensors[3].offset;
    size_t c = l->in.c;
    for (size_t j = 0; j < c; j++) {
        double count = 0.0, mean = 0.0, squares = 0.0;
        for (uint32_t s = 0; s < sync->n_shards; s++) {
            const double *sums = sync->shard_sums + s * (2 * c + 1);
            double more = sums[2 * c];
            if (more == 0.0) continue;
            double d = sums[j] - mean, total = count + more;
            mean += d * more / total;
            squares += sums[c + j] + d * d * count * more / total;
            count = total;
        }
        double variance = squares / count;
        sync->count = count;
        sync->mean[j] = mean;
        sync->rstd[j] = 1.0 / sqrt(variance + l->epsilon);
        /* The moving variance is the unbiased one, as other engines keep it. */
        double unbiased = count > 1.0 ? squares / (count - 1.0) : variance;
        moving_mean[j] = (float)(l->momentum * (double)moving_mean[j] + (1.0 - l->momentum) * mean);
        moving_variance[j] = (float)(l->momentum * (double)moving_variance[j] + (1.0 - l->momentum) * unbiased);
    }
}

static void normalise(const nn_op *op, const nn_run *run, const float *x, float *y, tiles *t) {
    size_t c = op->layer->in.c, tile = nn_tile(c);
    repeat(t->a, c, tile);
    repeat(t->b, c, tile);
    run->net->kernels->affine(x, y, run->net->shard_images * op->in, tile, t->a, t->b, op->layer->relu);
}

void nn_batch_norm_forward(const nn_op *op, const nn_run *run, const float *x, float *y) {
    const nn_sync *sync = &run->syncs[op->sync];
    const float *gamma = nn_values(op, run, 0), *beta = nn_values(op, run, 1);
    tiles t = tiles_of(run);
    for (size_t j = 0; j < op->layer->in.c; j++) {
        double scale = (double)gamma[j] * sync->rstd[j];
        t.a[j] = (float)scale;
        t.b[j] = (float)((double)beta[j] - scale * sync->mean[j]);
    }
    normalise(op, run, x, y, &t);
}

void nn_batch_norm_predict(const nn_op *op, const nn_run *run, const float *x, float *y) {
    const float *gamma = nn_values(op, run, 0), *beta = nn_values(op, run, 1);
    const float *mean = nn_values(op, run, 2), *variance = nn_values(op, run, 3);
    tiles t = tiles_of(run);
    for (size_t j = 0; j < op->layer->in.c; j++) {
        double scale = (double)gamma[j] / sqrt((double)variance[j] + op->layer->epsilon);
        t.a[j] = (float)scale;
        t.b[j] = (float)((double)beta[j] - scale * (double)mean[j]);
    }
    normalise(op, run, x, y, &t);
}

void nn_batch_norm_sums_backward(const nn_op *op, const nn_run *run, const float *x, const float *y, float *dy) {
    const nn_kernels *k = run->net->kernels;
    const nn_sync *sync = &run->syncs[op->sync];
    size_t c = op->layer->in.c, n = real_values(op, run), tile = nn_tile(c);
    double *sums = shard_sums(op, run);
    float *dgamma = nn_gradient(op, run, 0), *dbeta = nn_gradient(op, run, 1);
    tiles t = tiles_of(run);
    if (op->layer->relu) k->relu_backward(dy, y, n);
    for (size_t j = 0; j < c; j++)
        t.pivot[j] = (float)sync->mean[j];
    repeat(t.pivot, c, tile);
    k->moments2(x, dy, n, tile, t.pivot, t.s1, t.s2, t.scratch);
    fold(t.s1, tile, c, sums);
    fold(t.s2, tile, c, sums + c);
    for (size_t j = 0; j < c; j++) {
        dgamma[j] = (float)(sums[c + j] * sync->rstd[j]);
        dbeta[j] = (float)sums[j];
    }
}

void nn_batch_norm_between_backward(const nn_op *op, nn_sync *sync) {
    size_t c = op->layer->in.c;
    memset(sync->sum1, 0, c * sizeof *sync->sum1);
    memset(sync->sum2, 0, c * sizeof *sync->sum2);
    for (uint32_t s = 0; s < sync->n_shards; s++) {
        const double *sums = sync->shard_sums + s * (2 * c + 1);
        for (size_t j = 0; j < c; j++) {
            sync->sum1[j] += sums[j];
            sync->sum2[j] += sums[c + j];
        }
    }
}

void nn_batch_norm_backward(const nn_op *op, const nn_run *run, const float *x, const float *dy, float *dx) {
    if (dx == NULL) return;
    const nn_sync *sync = &run->syncs[op->sync];
    const float *gamma = nn_values(op, run, 0);
    size_t c = op->layer->in.c, n = real_values(op, run), tile = nn_tile(c);
    tiles t = tiles_of(run);
    for (size_t j = 0; j < c; j++) {
        double rstd = sync->rstd[j], scale = (double)gamma[j] * rstd;
        double slope = -scale * rstd * rstd * sync->sum2[j] / sync->count;
        t.a[j] = (float)scale;
        t.b[j] = (float)slope;
        t.c[j] = (float)(-scale * sync->sum1[j] / sync->count - slope * sync->mean[j]);
    }
    repeat(t.a, c, tile);
    repeat(t.b, c, tile);
    repeat(t.c, c, tile);
    run->net->kernels->affine2(x, dy, dx, n, tile, t.a, t.b, t.c);
    /* What fills up a last shard took no part: its gradient stays zero. */
    memset(dx + n, 0, (run->net->shard_images * op->in - n) * sizeof *dx);
}
