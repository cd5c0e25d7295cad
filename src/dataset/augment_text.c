/* Augmentation in words: "rotate=10,shift=0.1,flip-horizontal". */
#include "base/error.h"
#include "dataset/augment.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* Word, field, largest value, unit. All begin at 0, which is nothing. */
#define KINDS(X)                                                                                                       \
    X("rotate", rotate_degrees, 180, "degrees")                                                                        \
    X("shift", shift, 1, "of the size")                                                                                \
    X("zoom", zoom, 0.9f, "")                                                                                          \
    X("shear", shear_degrees, 45, "degrees")                                                                           \
    X("elastic", elastic, 0.2f, "of the size")                                                                         \
    X("gain", gain, 1, "")                                                                                             \
    X("offset", offset, 1, "of the range")                                                                             \
    X("gamma", gamma, 3, "")                                                                                           \
    X("noise", noise, 0.5f, "of the range")                                                                            \
    X("blur", blur, 5, "pixels")                                                                                       \
    X("cutout", cutout, 0.9f, "of the size")

static const struct kind {
    const char *word, *unit;
    size_t offset;
    float most;
} kinds[] = {
#define KIND(word, field, most, unit) {word, unit, offsetof(msfl_augment, field), most},
    KINDS(KIND)
#undef KIND
};
enum { N_KINDS = sizeof kinds / sizeof kinds[0] };

static float *value_of(msfl_augment *a, size_t kind) {
    return (float *)(void *)((char *)a + kinds[kind].offset);
}

static float value(const msfl_augment *a, size_t kind) {
    float v;
    memcpy(&v, (const char *)a + kinds[kind].offset, sizeof v);
    return v;
}

bool msfl_augment_changes(const msfl_augment *a) {
    bool changes = a != NULL && (a->flip_horizontal || a->flip_vertical);
    for (size_t k = 0; a != NULL && k < N_KINDS; k++)
        changes = changes || value(a, k) != 0;
    return changes;
}

/* Also refuses what is not a number. */
msfl_status msfl_augment_check(const msfl_augment *a) {
    for (size_t k = 0; k < N_KINDS; k++) {
        float v = value(a, k);
        if (v >= 0 && v <= kinds[k].most) continue;
        return msfl_fail(MSFL_ERR_USAGE, "augmentation: %s is %g; 0 to %g %s are possible", kinds[k].word, (double)v,
                         (double)kinds[k].most, kinds[k].unit);
    }
    return MSFL_OK;
}

msfl_augment msfl_augment_default(void) {
    return (msfl_augment){.rotate_degrees = 7, .shift = 0.05f, .zoom = 0.05f, .gain = 0.1f, .offset = 0.05f};
}

static msfl_augment strong(void) {
    return (msfl_augment){.rotate_degrees = 12,
                          .shift = 0.08f,
                          .zoom = 0.12f,
                          .shear_degrees = 5,
                          .elastic = 0.02f,
                          .gain = 0.15f,
                          .offset = 0.05f,
                          .gamma = 0.25f,
                          .noise = 0.03f,
                          .blur = 0.7f,
                          .cutout = 0.15f};
}

/* Plain decimals: no sign, no exponent, at most nine digits. False for anything else. */
static bool decimal(const char *text, size_t length, float *out) {
    uint32_t digits = 0, number = 0;
    double divisor = 1;
    bool point = false;
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '.' && !point) {
            point = true;
            continue;
        }
        if (text[i] < '0' || text[i] > '9' || ++digits > 9) return false;
        number = 10 * number + (uint32_t)(text[i] - '0');
        if (point) divisor *= 10;
    }
    *out = (float)(number / divisor);
    return digits > 0;
}

static msfl_status read_word(const char *word, size_t length, bool is_first, msfl_augment *out) {
    char text[40];
    if (length >= sizeof text) length = sizeof text - 1;
    memcpy(text, word, length);
    text[length] = 0;
    if (is_first && strcmp(text, "none") == 0) {
        *out = (msfl_augment){0};
    } else if (is_first && strcmp(text, "default") == 0) {
        *out = msfl_augment_default();
    } else if (is_first && strcmp(text, "strong") == 0) {
        *out = strong();
    } else if (strcmp(text, "flip-horizontal") == 0) {
        out->flip_horizontal = true;
    } else if (strcmp(text, "flip-vertical") == 0) {
        out->flip_vertical = true;
    } else {
        const char *equals = strchr(text, '=');
        size_t name = equals == NULL ? 0 : (size_t)(equals - text);
        for (size_t k = 0; k < N_KINDS && name > 0; k++) {
            if (strlen(kinds[k].word) != name || memcmp(kinds[k].word, text, name) != 0) continue;
            if (decimal(equals + 1, length - name - 1, value_of(out, k))) return MSFL_OK;
            return msfl_fail(MSFL_ERR_USAGE, "augmentation: '%s' has no plain decimal number", text);
        }
        return msfl_fail(MSFL_ERR_USAGE,
                         "augmentation: what is '%s'? It begins with none, default or strong where it should, and goes "
                         "on with rotate=, shift=, zoom=, shear=, elastic=, gain=, offset=, gamma=, noise=, blur=, "
                         "cutout=, flip-horizontal and flip-vertical, commas between",
                         text);
    }
    return MSFL_OK;
}

msfl_status msfl_augment_parse(const char *text, msfl_augment *out) {
    msfl_augment a = {0};
    msfl_status status = MSFL_OK;
    for (const char *at = text; status == MSFL_OK;) {
        size_t length = strcspn(at, ",");
        status = read_word(at, length, at == text, &a);
        if (at[length] == 0) break;
        at += length + 1;
    }
    if (status == MSFL_OK) status = msfl_augment_check(&a);
    if (status == MSFL_OK) *out = a;
    return status;
}
