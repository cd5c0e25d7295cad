/* Where the frames of a data set lie, in the child. */
#include "image/dicom_child.h"

#include "image/dcmtk.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PIXEL_MEASURES = 0x00289110, PLANE_POSITION = 0x00209113, PLANE_ORIENTATION = 0x00209116 };

static const double SAME_DIRECTION = 1e-3; /* as of single slices: series.c */

typedef struct place {
    double height, position[3];
    uint32_t frame;
} place;

static bool find_vector(const msfl_dcmtk_item *root, uint32_t group, uint32_t frame, uint32_t tag, uint32_t n,
                        double *out) {
    for (uint32_t i = 0; i < n; i++) {
        if (!msfl_dicom_find(root, group, frame, tag, i, &out[i])) return false;
    }
    return true;
}

static bool make_unit(double v[3]) {
    double length = sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
    if (!(length > 0.9 && length < 1.1)) return false;
    for (int i = 0; i < 3; i++)
        v[i] /= length;
    return true;
}

static int by_height(const void *a, const void *b) {
    const place *x = a, *y = b;
    if (x->height != y->height) return x->height < y->height ? -1 : 1;
    return x->frame < y->frame ? -1 : x->frame > y->frame;
}

static bool vector_of(const msfl_dcmtk_item *own, const msfl_dcmtk_item *shared, uint32_t group, uint32_t tag,
                      uint32_t n, double *out) {
    const msfl_dcmtk_item *item = msfl_dcmtk_inner(own, group, 0);
    if (item == NULL) item = msfl_dcmtk_inner(shared, group, 0);
    for (uint32_t i = 0; i < n; i++) {
        if (!msfl_dcmtk_f64(item, tag, i, &out[i])) return false;
    }
    return true;
}

/* The places of all frames, in the order in which they lie along `normal`; false if one has another direction. */
static bool take_places(const msfl_dcmtk_item *root, const double normal[3], const msfl_dicom_answer *a,
                        place *places) {
    const msfl_dcmtk_item *shared = msfl_dcmtk_inner(root, MSFL_DICOM_SHARED, 0);
    double turned[6];
    for (uint32_t i = 0; i < a->frames; i++) {
        place *p = &places[i];
        p->frame = i;
        const msfl_dcmtk_item *own = msfl_dcmtk_inner(root, MSFL_DICOM_PER_FRAME, i);
        if (own == NULL || !vector_of(own, shared, PLANE_POSITION, 0x00200032, 3, p->position) ||
            !vector_of(own, shared, PLANE_ORIENTATION, 0x00200037, 6, turned)) {
            return false;
        }
        for (int k = 0; k < 6; k++)
            if (!(fabs(turned[k] - a->facts.orientation[k]) <= SAME_DIRECTION)) return false;
        p->height = normal[0] * p->position[0] + normal[1] * p->position[1] + normal[2] * p->position[2];
    }
    const bool falls = places[a->frames - 1].height < places[0].height;
    for (uint32_t i = 0; i < a->frames && falls; i++)
        places[i].height = -places[i].height;
    qsort(places, a->frames, sizeof *places, by_height);
    return true;
}

/* Whether each lies where even steps from the first to the last put it, to a quarter of a step. A missing slice moves
 * another by a third at least; two slices at one place, or beside each other, by more. */
static bool is_even(const place *places, uint32_t n, const double step[3]) {
    const double length = sqrt(step[0] * step[0] + step[1] * step[1] + step[2] * step[2]);
    if (!(length > 0)) return false;
    for (uint32_t i = 0; i < n; i++) {
        double off = 0;
        for (int k = 0; k < 3; k++) {
            double d = places[i].position[k] - places[0].position[k] - i * step[k];
            off += d * d;
        }
        if (!(sqrt(off) <= 0.25 * length)) return false;
    }
    return true;
}

/* Frames that say each for itself where they lie (PS3.3 C.7.6.16) may be stored in any order, and need not be one
 * volume. */
static void read_frames(const msfl_dcmtk_item *root, const double normal[3], msfl_dicom_answer *a, double step[3],
                        uint32_t **slots) {
    place *places = malloc(a->frames * sizeof *places);
    a->facts.is_scattered = true;
    if (places == NULL || !take_places(root, normal, a, places)) goto done;
    for (int k = 0; k < 3; k++)
        step[k] = (places[a->frames - 1].position[k] - places[0].position[k]) / (a->frames - 1);
    if (!is_even(places, a->frames, step)) goto done;
    uint32_t *to = malloc(a->frames * sizeof *to);
    if (to == NULL) goto done;
    a->facts.is_scattered = false;
    a->spacing[2] = sqrt(step[0] * step[0] + step[1] * step[1] + step[2] * step[2]);
    memcpy(a->facts.position, places[0].position, sizeof a->facts.position);
    for (uint32_t i = 0; i < a->frames; i++) {
        to[places[i].frame] = i;
        a->has_slots |= places[i].frame != i;
    }
    *slots = to;
done:
    free(places);
}

static void read_spacing(const msfl_dcmtk_item *root, msfl_dicom_answer *a) {
    double pair[2], v;
    /* Pixel spacing, or that at the detector: rows first. */
    static const uint32_t tags[] = {0x00280030, 0x00181164, 0x00182010};
    for (size_t i = 0; i < 3 && a->spacing[0] == 0; i++) {
        if (!find_vector(root, PIXEL_MEASURES, 0, tags[i], 2, pair) || !(pair[0] > 0) || !(pair[1] > 0)) continue;
        a->spacing[0] = pair[1];
        a->spacing[1] = pair[0];
    }
    if ((msfl_dicom_find(root, PIXEL_MEASURES, 0, 0x00180088, 0, &v) ||
         msfl_dicom_find(root, PIXEL_MEASURES, 0, 0x00180050, 0, &v)) &&
        v != 0) {
        a->spacing[2] = fabs(v);
    }
}

void msfl_dicom_read_place(const msfl_dcmtk_item *root, msfl_dicom_answer *a, uint32_t **slots) {
    msfl_dicom *f = &a->facts;
    read_spacing(root, a);
    f->has_place = find_vector(root, PLANE_ORIENTATION, 0, 0x00200037, 6, f->orientation) &&
                   find_vector(root, PLANE_POSITION, 0, 0x00200032, 3, f->position) && make_unit(f->orientation) &&
                   make_unit(f->orientation + 3);
    if (!f->has_place) return;
    const double *r = f->orientation, *c = f->orientation + 3;
    const double normal[3] = {r[1] * c[2] - r[2] * c[1], r[2] * c[0] - r[0] * c[2], r[0] * c[1] - r[1] * c[0]};
    double step[3], offsets[2];
    for (int i = 0; i < 3; i++)
        step[i] = normal[i] * a->spacing[2];
    if (a->frames > 1 && msfl_dcmtk_inner(root, MSFL_DICOM_PER_FRAME, 0) != NULL) {
        read_frames(root, normal, a, step, slots);
        if (f->is_scattered) return;
    } else if (a->frames > 1 && msfl_dcmtk_f64(root, 0x3004000c, 0, &offsets[0]) &&
               msfl_dcmtk_f64(root, 0x3004000c, 1, &offsets[1]) && offsets[1] != offsets[0]) {
        /* The dose grid's frames, along the normal. */
        const double apart = offsets[1] - offsets[0];
        double last = 0;
        f->is_scattered = !msfl_dcmtk_f64(root, 0x3004000c, a->frames - 1, &last) ||
                          !(fabs(last - offsets[0] - (a->frames - 1) * apart) <= 0.25 * fabs(apart));
        if (f->is_scattered) return;
        for (int i = 0; i < 3; i++)
            step[i] = normal[i] * apart;
        a->spacing[2] = fabs(apart);
    }
    /* A column of zeros would say nothing about a direction. */
    if (!(a->spacing[0] > 0) || (a->frames > 1 && !(a->spacing[2] > 0))) return;
    /* From Left, Posterior, Superior to Right, Anterior, Superior. */
    a->has_affine = 1;
    for (int i = 0; i < 3; i++) {
        double sign = i < 2 ? -1 : 1;
        a->affine[i][0] = sign * r[i] * a->spacing[0];
        a->affine[i][1] = sign * c[i] * a->spacing[1];
        a->affine[i][2] = sign * step[i];
        a->affine[i][3] = sign * f->position[i];
    }
}
