#include "recipe/sample.h"

#include "base/error.h"
#include "base/mem.h"
#include "recipe/measure.h"

#include <math.h>
#include <string.h>

void msfl_sample_clear(msfl_sample *s) {
    for (uint32_t i = 0; i < s->n_channels; i++)
        msfl_volume_clear(&s->channels[i]);
    msfl_volume_clear(&s->mask);
    *s = (msfl_sample){0};
}

msfl_status msfl_sample_add(const msfl_recipe *r, const char *name, const msfl_image *image, msfl_sample *s) {
    msfl_values values = r->display ? MSFL_VALUES_DISPLAY : MSFL_VALUES_MEASURED;
    msfl_status status = MSFL_OK;
    for (int colour = r->rgb ? 0 : -1; colour < (r->rgb ? 3 : 0) && status == MSFL_OK; colour++) {
        if (s->n_channels == MSFL_RECIPE_SEQUENCES_MAX) return msfl_fail(MSFL_ERR_LIMIT, "%s: too many channels", name);
        msfl_volume v;
        status = msfl_volume_of(name, image, values, colour, !r->volumes, &v);
        if (status != MSFL_OK) return status;
        if (s->n_channels > 0) status = msfl_volume_align(name, &v, &s->channels[0], false);
        if (status != MSFL_OK) {
            msfl_volume_clear(&v);
            return status;
        }
        s->channels[s->n_channels++] = v;
    }
    return status;
}

/* Tools that draw masks as pictures write one structure as white: 0 and 255, and nothing else. */
static void white_is_one(msfl_volume *mask) {
    size_t n = msfl_volume_count(mask);
    for (size_t i = 0; i < n; i++)
        if (mask->values[i] != 0 && mask->values[i] != 255) return;
    for (size_t i = 0; i < n; i++)
        mask->values[i] = mask->values[i] != 0 ? 1 : 0;
}

msfl_status msfl_sample_add_mask(const msfl_recipe *r, const char *name, const msfl_image *image, msfl_sample *s) {
    msfl_volume v;
    msfl_status status = msfl_volume_of(name, image, MSFL_VALUES_LABELS, -1, !r->volumes, &v);
    if (status != MSFL_OK) return status;
    white_is_one(&v);
    status = msfl_volume_align(name, &v, &s->channels[0], true);
    if (status != MSFL_OK) {
        msfl_volume_clear(&v);
        return status;
    }
    msfl_volume_clear(&s->mask);
    s->mask = v;
    s->has_mask = true;
    return MSFL_OK;
}

/* --- steps that change values: each channel by itself, the channels of a colour together --- */

static void map_to_unit(msfl_volume *v, double low, double high) {
    size_t n = msfl_volume_count(v);
    for (size_t i = 0; i < n; i++) {
        double x = ((double)v->values[i] - low) / (high - low);
        v->values[i] = (float)(x > 0 ? x < 1 ? x : 1 : 0);
    }
}

/* All channels of a colour as one volume of as many slices: statistics keep the relation between them. */
static msfl_status join(const msfl_recipe *r, const msfl_sample *s, uint32_t channel, msfl_volume *joined,
                        const msfl_volume **out) {
    *out = &s->channels[channel];
    if (!r->rgb) return MSFL_OK;
    const uint32_t sides[3] = {s->channels[0].sides[0], s->channels[0].sides[1],
                               s->channels[0].sides[2] * s->n_channels};
    msfl_status status = msfl_volume_new(sides, NULL, joined);
    size_t n = msfl_volume_count(&s->channels[0]);
    for (size_t k = 0; k < s->n_channels && status == MSFL_OK; k++)
        memcpy(joined->values + k * n, s->channels[k].values, n * sizeof(float));
    *out = joined;
    return status;
}

static msfl_status measure(const char *name, const msfl_step *step, const msfl_volume *v, double ends[2]) {
    msfl_rule rule = msfl_rule_of(&step->region, v);
    if (step->kind == MSFL_STEP_ZSCORE) return msfl_mean_deviation(name, v, &rule, &ends[0], &ends[1]);
    const double percent[2] = {step->low, step->high};
    msfl_status status = msfl_percentiles(name, v, &rule, percent, 2, ends);
    if (status == MSFL_OK && !(ends[1] > ends[0])) {
        status = msfl_fail(MSFL_ERR_DATA, "%s: percentiles %g and %g have the same value, so nothing is between them",
                           name, step->low, step->high);
    }
    return status;
}

static msfl_status change_values(const msfl_recipe *r, const char *name, const msfl_step *step, msfl_sample *s) {
    double ends[2] = {step->low, step->high};
    for (uint32_t k = 0; k < s->n_channels; k++) {
        msfl_volume *v = &s->channels[k];
        if (step->kind != MSFL_STEP_WINDOW && (k == 0 || !r->rgb)) {
            msfl_volume joined = {0};
            const msfl_volume *measured;
            msfl_status status = join(r, s, k, &joined, &measured);
            if (status == MSFL_OK) status = measure(name, step, measured, ends);
            msfl_volume_clear(&joined);
            if (status != MSFL_OK) return status;
        }
        if (step->kind != MSFL_STEP_ZSCORE) {
            map_to_unit(v, ends[0], ends[1]);
            continue;
        }
        size_t n = msfl_volume_count(v);
        for (size_t i = 0; i < n; i++)
            v->values[i] = (float)(((double)v->values[i] - ends[0]) / ends[1]);
    }
    return MSFL_OK;
}

/* --- steps that move voxels: all channels and the mask alike --- */

/* Channel i, and behind the last one the mask; NULL at the end. */
static msfl_volume *member(msfl_sample *s, uint32_t i) {
    return i < s->n_channels ? &s->channels[i] : i == s->n_channels && s->has_mask ? &s->mask : NULL;
}

/* Twice the middle of the box around the content of the first channel; the image's own where there is none. */
static void find_content(const msfl_step *step, const msfl_volume *v, int64_t middle2[3]) {
    uint32_t low[3] = {UINT32_MAX, UINT32_MAX, UINT32_MAX}, high[3] = {0};
    msfl_rule rule = msfl_rule_of(&step->region, v);
    const float *at = v->values;
    for (uint32_t z = 0; z < v->sides[2]; z++) {
        for (uint32_t y = 0; y < v->sides[1]; y++) {
            for (uint32_t x = 0; x < v->sides[0]; x++) {
                if (!msfl_rule_takes(&rule, *at++)) continue;
                const uint32_t place[3] = {x, y, z};
                for (int i = 0; i < 3; i++) {
                    low[i] = place[i] < low[i] ? place[i] : low[i];
                    high[i] = place[i] > high[i] ? place[i] : high[i];
                }
            }
        }
    }
    for (int i = 0; i < 3 && low[0] != UINT32_MAX; i++)
        middle2[i] = (int64_t)low[i] + high[i];
}

static msfl_status fit(const msfl_step *step, bool is_flat, msfl_sample *s) {
    const msfl_volume *first = &s->channels[0];
    uint32_t size[3] = {step->size[0], step->size[1], step->size[2]};
    int64_t middle2[3];
    for (int i = 0; i < 3; i++)
        middle2[i] = (int64_t)first->sides[i] - 1;
    if (step->on_content) find_content(step, first, middle2);
    msfl_status status = MSFL_OK;
    msfl_volume *v;
    for (uint32_t k = 0; (v = member(s, k)) != NULL && status == MSFL_OK; k++) {
        float fill = 0;
        if (k < s->n_channels) {
            fill = (float)step->fill;
            for (size_t i = 0; i < msfl_volume_count(v) && step->fill_minimum; i++)
                fill = i == 0 || v->values[i] < fill ? v->values[i] : fill;
        }
        if (is_flat) { /* every slice stays; with neighbours a mask has fewer */
            size[2] = v->sides[2];
            middle2[2] = (int64_t)v->sides[2] - 1;
        }
        status = msfl_volume_fit(v, size, middle2, fill);
    }
    return status;
}

/* Which slices along step->axis are taken, in order. Looks at the first channel's content, never at mask or label. */
static uint32_t choose_slices(const msfl_step *step, const msfl_volume *v, uint32_t chosen[MSFL_RECIPE_SLICES_MAX]) {
    uint32_t n = v->sides[step->axis], n_eligible = 0;
    uint64_t *content = msfl_alloc(n, sizeof *content);
    uint32_t *eligible = msfl_alloc(n, sizeof *eligible);
    uint32_t taken = 0;
    if (content == NULL || eligible == NULL) goto done;
    uint64_t most = 0;
    if (step->share > 0) {
        msfl_rule rule = msfl_rule_of(&step->region, v);
        const float *at = v->values;
        for (uint32_t z = 0; z < v->sides[2]; z++) {
            for (uint32_t y = 0; y < v->sides[1]; y++) {
                for (uint32_t x = 0; x < v->sides[0]; x++) {
                    const uint32_t place[3] = {x, y, z};
                    content[place[step->axis]] += msfl_rule_takes(&rule, *at++);
                }
            }
        }
        for (uint32_t i = 0; i < n; i++)
            most = content[i] > most ? content[i] : most;
    }
    for (uint32_t i = 0; i < n; i++)
        if ((double)content[i] >= step->share * (double)most) eligible[n_eligible++] = i;
    taken = step->count == 0 || step->count > n_eligible ? n_eligible : step->count;
    if (taken > MSFL_RECIPE_SLICES_MAX) taken = MSFL_RECIPE_SLICES_MAX;
    for (uint64_t k = 0; k < taken; k++)
        chosen[k] = eligible[(2 * k + 1) * n_eligible / (2 * (uint64_t)taken)];
done:
    msfl_free(content);
    msfl_free(eligible);
    return taken;
}

/* The chosen slices, each from `beside` before to `beside` behind it; beyond the volume its outer slice repeats. */
static msfl_status cut(const msfl_step *step, const uint32_t *chosen, uint32_t n, uint32_t beside, msfl_volume *v) {
    uint32_t across = step->axis == 0 ? 1 : 0, down = step->axis == 2 ? 1 : 2;
    const size_t strides[3] = {1, v->sides[0], (size_t)v->sides[0] * v->sides[1]};
    const uint32_t each = 2 * beside + 1, sides[3] = {v->sides[across], v->sides[down], n * each};
    const uint32_t last = v->sides[step->axis] - 1;
    msfl_volume out;
    msfl_status status = msfl_volume_new(sides, NULL, &out);
    if (status != MSFL_OK) return status;
    float *to = out.values;
    for (uint32_t z = 0; z < n * each; z++) {
        uint32_t behind = chosen[z / each] + z % each, from = behind < beside ? 0 : behind - beside;
        if (from > last) from = last;
        for (uint32_t y = 0; y < sides[1]; y++) {
            const float *row =
                v->values + from * strides[step->axis] + (step->upright ? sides[1] - 1 - y : y) * strides[down];
            for (uint32_t x = 0; x < sides[0]; x++)
                *to++ = row[x * strides[across]];
        }
    }
    out.spacing[0] = v->spacing[across];
    out.spacing[1] = v->spacing[down];
    msfl_free(v->values);
    *v = out;
    return MSFL_OK;
}

static msfl_status slices(const char *name, const msfl_step *step, msfl_sample *s) {
    uint32_t chosen[MSFL_RECIPE_SLICES_MAX];
    uint32_t n = choose_slices(step, &s->channels[0], chosen);
    if (n == 0) return msfl_fail(MSFL_ERR_MEMORY, "%s: no memory to choose slices", name);
    memcpy(s->slices, chosen, n * sizeof *chosen);
    s->between = s->channels[0].spacing[step->axis];
    msfl_status status = MSFL_OK;
    msfl_volume *v;
    for (uint32_t k = 0; (v = member(s, k)) != NULL && status == MSFL_OK; k++)
        status = cut(step, chosen, n, k == s->n_channels ? 0 : step->neighbours, v);
    return status;
}

static msfl_status move(const char *name, const msfl_step *step, bool is_flat, msfl_sample *s) {
    msfl_status status = MSFL_OK;
    msfl_volume *v;
    for (uint32_t k = 0; (v = member(s, k)) != NULL && status == MSFL_OK; k++) {
        bool is_mask = k == s->n_channels;
        uint32_t size[3] = {step->size[0], step->size[1], is_flat ? v->sides[2] : step->size[2]};
        if (step->kind == MSFL_STEP_ORIENT) {
            status = msfl_volume_orient(name, v, step->axes);
        } else if (step->kind == MSFL_STEP_RESAMPLE) {
            status = msfl_volume_resample(name, v, step->spacing, is_flat ? 2 : 3, step->nearest || is_mask);
        } else {
            status = msfl_volume_resize(v, size, is_mask);
        }
    }
    return status;
}

msfl_status msfl_sample_run(const msfl_recipe *r, const char *name, msfl_sample *s) {
    bool is_flat = !r->volumes;
    const uint32_t wanted = r->channels / (2 * r->neighbours + 1);
    if (s->n_channels != wanted) {
        return msfl_fail(MSFL_ERR_MISMATCH, "%s: %u channels; the recipe asks for %u", name, s->n_channels, wanted);
    }
    msfl_status status = MSFL_OK;
    for (uint32_t i = 0; i < r->n_steps && status == MSFL_OK; i++) {
        const msfl_step *step = &r->steps[i];
        switch (step->kind) {
        case MSFL_STEP_WINDOW:
        case MSFL_STEP_PERCENTILES:
        case MSFL_STEP_ZSCORE:
            status = change_values(r, name, step, s);
            break;
        case MSFL_STEP_FIT:
            status = fit(step, is_flat, s);
            break;
        case MSFL_STEP_SLICES:
            status = slices(name, step, s);
            is_flat = true;
            break;
        default:
            status = move(name, step, is_flat, s);
        }
    }
    return status;
}

/* --- to samples --- */

void msfl_pictures_clear(msfl_pictures *p) {
    msfl_free(p->samples);
    msfl_free(p->masks);
    msfl_free(p->slices);
    *p = (msfl_pictures){0};
}

size_t msfl_recipe_picture_bytes(const msfl_recipe *r) {
    return msfl_recipe_mask_bytes(r) * r->channels * (r->bits / 8);
}

size_t msfl_recipe_mask_bytes(const msfl_recipe *r) {
    return (size_t)r->width * r->height * r->depth;
}

msfl_status msfl_sample_store(const msfl_recipe *r, const msfl_sample *s, msfl_pictures *out) {
    const msfl_volume *first = &s->channels[0];
    const uint32_t each = 2 * r->neighbours + 1;
    if (first->sides[0] != r->width || first->sides[1] != r->height || s->n_channels * each != r->channels) {
        return msfl_fail(MSFL_ERR_MISMATCH, "%u x %u pixels came out of a recipe for %u x %u", first->sides[0],
                         first->sides[1], r->width, r->height);
    }
    if (r->depth > 1 && first->sides[2] != r->depth) {
        return msfl_fail(MSFL_ERR_MISMATCH, "%u slices came out of a recipe for %u", first->sides[2], r->depth);
    }
    msfl_pictures p = {.n = r->depth > 1 ? 1 : first->sides[2] / each};
    size_t pixels = msfl_recipe_mask_bytes(r);
    p.samples = msfl_alloc(p.n, msfl_recipe_picture_bytes(r));
    if (s->has_mask) p.masks = msfl_alloc(p.n, pixels);
    if (r->volumes) p.slices = msfl_alloc(p.n, sizeof *p.slices);
    if (p.samples == NULL || (s->has_mask && p.masks == NULL) || (r->volumes && p.slices == NULL)) {
        msfl_pictures_clear(&p);
        return MSFL_NO_MEMORY;
    }
    if (r->volumes && r->depth == 1)
        memcpy(p.slices, s->slices, p.n * sizeof *p.slices); /* at most MSFL_RECIPE_SLICES_MAX */
    p.spacing[0] = first->spacing[0];
    p.spacing[1] = first->spacing[1];
    p.spacing[2] = r->depth > 1 ? first->spacing[2] : r->volumes ? s->between : 0;
    const double top = r->bits == 8 ? 255 : 65535, scale = top / (r->high - r->low);
    for (size_t channel = 0; channel < (size_t)p.n * r->channels; channel++) {
        size_t picture = channel / r->channels, k = channel % r->channels;
        const float *values = s->channels[k / each].values + (picture * each + k % each) * pixels;
        for (size_t i = 0; i < pixels; i++) {
            double v = ((double)values[i] - r->low) * scale;
            p.n_clipped += v < -0.5 || v > top + 0.5;
            uint32_t sample = v > 0 ? v < top ? (uint32_t)(v + 0.5) : (uint32_t)top : 0;
            size_t at = (picture * pixels + i) * r->channels + k;
            if (r->bits == 8) {
                p.samples[at] = (uint8_t)sample;
            } else {
                msfl_store16(p.samples + 2 * at, (uint16_t)sample);
            }
        }
    }
    for (size_t i = 0; i < p.n * pixels && s->has_mask; i++)
        p.masks[i] = (uint8_t)s->mask.values[i];
    *out = p;
    return MSFL_OK;
}
