/* Tables of a data set, in the child: palettes, modality and VOI. */
#include "image/dicom_child.h"

#include "image/dcmtk.h"

#include <stdlib.h>

/* A segmented table on its way to entries. In units: words, or bytes for entries of 8 bits. */
typedef struct expansion {
    const uint16_t *words;
    size_t n_units;
    bool bytes;
    uint16_t *out;
    uint32_t n, done;
} expansion;

static uint32_t unit(const expansion *e, size_t i) {
    return e->bytes ? e->words[i / 2] >> (i % 2 != 0 ? 8 : 0) & 255u : e->words[i];
}

/* One discrete or linear segment at `*at`, which moves behind it. */
static bool expand_plain(expansion *e, size_t *at) {
    if (e->n_units - *at < 3) return false;
    const uint32_t kind = unit(e, *at), length = unit(e, *at + 1);
    const size_t values = kind == 0 ? length : 1;
    if (kind > 1 || length > e->n - e->done || values > e->n_units - *at - 2 || (kind == 1 && e->done == 0))
        return false;
    const double from = e->done > 0 ? e->out[e->done - 1] : 0, to = unit(e, *at + 2);
    for (uint32_t i = 0; i < length; i++) {
        /* The end of the segment before is not repeated. */
        e->out[e->done++] = (uint16_t)(kind == 0 ? unit(e, *at + 2 + i) : from + (to - from) * (i + 1) / length + 0.5);
    }
    *at += 2 + values;
    return true;
}

bool msfl_dicom_expand(const uint16_t *words, size_t n_words, uint32_t bits, uint16_t *out, uint32_t n) {
    const bool bytes = bits == 8;
    expansion e = {words, bytes ? 2 * n_words : n_words, bytes, out, n, 0};
    for (size_t at = 0; e.done < n;) {
        if (e.n_units - at < 3) return false;
        if (unit(&e, at) != 2) {
            if (!expand_plain(&e, &at)) return false;
            continue;
        }
        /* How many segments, and at which byte they begin. */
        const size_t fields = bytes ? 6 : 4;
        if (e.n_units - at < fields) return false;
        uint64_t from = 0;
        for (size_t i = fields; i > 2; i--)
            from = from << (bytes ? 8 : 16) | unit(&e, at + i - 1);
        if (!bytes && from % 2 != 0) return false;
        if (!bytes) from /= 2;
        if (from >= at) return false;
        size_t source = (size_t)from;
        for (uint32_t i = unit(&e, at + 1); i > 0; i--)
            if (!expand_plain(&e, &source)) return false;
        at += fields;
    }
    return true;
}

/* PS3.3 C.7.6.3.1.5 and C.11: entries, first value mapped, bits of an entry. Entries of 8 bits may come two in a word.
 * `segmented`: another element that may stand in place of `data`; 0: none. */
static void read_table(const msfl_dcmtk_item *item, uint32_t descriptor, uint32_t data, uint32_t segmented,
                       uint32_t index, bool is_signed, msfl_dicom_answer *a, msfl_dicom_tables *t) {
    uint16_t d[3];
    size_t n = 0;
    const uint16_t *words;
    for (uint32_t i = 0; i < 3; i++) {
        if (!msfl_dcmtk_u16(item, descriptor, i, &d[i])) return;
    }
    const uint32_t entries = d[0] == 0 ? 65536 : d[0];
    if (d[2] < 8 || d[2] > 16) return;
    const bool plain = msfl_dcmtk_words(item, data, &words, &n);
    if (!plain && (segmented == 0 || !msfl_dcmtk_words(item, segmented, &words, &n))) return;
    if (!plain || n < entries) {
        if (plain && (d[2] != 8 || n < (entries + 1) / 2)) return;
        uint16_t *wide = t->owned[index] = calloc(entries + 1, sizeof *wide);
        if (wide == NULL || (!plain && !msfl_dicom_expand(words, n, d[2], wide, entries))) return;
        for (uint32_t i = 0; i < entries && plain; i++)
            wide[i] = (uint16_t)(words[i / 2] >> (i % 2 != 0 ? 8 : 0) & 255);
        words = wide;
    }
    t->words[index] = words;
    a->tables[index].first = is_signed ? (int16_t)d[1] : d[1];
    a->tables[index].n = entries;
    a->tables[index].bits = d[2];
}

bool msfl_dicom_read_tables(const msfl_dcmtk_item *root, msfl_dicom_answer *a, msfl_dicom_tables *t) {
    bool is_signed = a->kind == MSFL_SAMPLES_SIGNED;
    for (uint32_t i = 0; i < 3 && a->colour == MSFL_COLOUR_PALETTE; i++) {
        read_table(root, 0x00281101 + i, 0x00281201 + i, 0x00281221 + i, i, is_signed, a, t);
        if (a->tables[i].n == 0) {
            return msfl_dicom_excuse_with(&a->excuse, MSFL_FAULT_UNSUPPORTED_TYPE,
                                          "palette colours without a palette, or with a damaged one");
        }
    }
    if (a->channels != 1 || a->colour == MSFL_COLOUR_PALETTE) return true;
    read_table(msfl_dcmtk_inner(root, 0x00283000, 0), 0x00283002, 0x00283006, 0, 3, is_signed, a, t);
    /* The VOI table's input are rescaled values, which are signed where stored ones or an intercept are. */
    read_table(msfl_dcmtk_inner(root, 0x00283010, 0), 0x00283002, 0x00283006, 0, 4,
               is_signed || a->rescale.intercept < 0, a, t);
    return true;
}
