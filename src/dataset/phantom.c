/* Synthetic chest images, drawn from a seed: a schematic frontal X-ray with body, lungs, ribs, spine, heart, noise and
 * varied pose, and in one class a faint opacity in a lung. No patient stands behind them; they show that the program
 * works, never how well it does in a clinic. */
#include "base/error.h"
#include "base/mem.h"
#include "base/seeded.h"
#include "base/threads.h"
#include "dataset/set.h"

#include <math.h>
#include <string.h>

enum { IMAGES_MIN = 10, VISITS_MAX = 4, LATTICE = 9, BLOBS_MAX = 4 };

/* Places are given with the picture from -1 to 1 in both directions, y downwards; the patient's right is on the left.
 */

/* What stays the same over the visits of one patient. */
typedef struct anatomy {
    double body_width, chest_width, chest_height, lung_gap;
    double heart_width, heart_height, heart_x, spine_width;
    double rib_step, rib_slope, rib_width, rib_strength;
    double thickness, breast, vessels;
    double lattice[LATTICE][LATTICE]; /* vessel pattern */
} anatomy;

/* A cloudy spot: a Gaussian with a ragged edge. */
typedef struct blob {
    double x, y, size_x, size_y, cosine, sine, strength;
} blob;

/* What differs from visit to visit. */
typedef struct visit {
    double cosine, sine, shift_x, shift_y, zoom;
    double breath; /* how far the diaphragm is down */
    double exposure, gamma, noise, tilt_x, tilt_y;
    blob blobs[BLOBS_MAX];
    int n_blobs;
    double lattice[LATTICE][LATTICE]; /* raggedness of the spots */
} visit;

static double between(msfl_seeded *g, double low, double high) {
    return low + (high - low) * msfl_seeded_unit(g);
}

static void fill_lattice(msfl_seeded *g, double lattice[LATTICE][LATTICE]) {
    for (int i = 0; i < LATTICE; i++) {
        for (int j = 0; j < LATTICE; j++)
            lattice[i][j] = between(g, -1, 1);
    }
}

/* One statement for each draw here and below: the order in which an initialiser list is evaluated is not defined. */
static anatomy draw_anatomy(uint64_t seed, uint32_t patient) {
    msfl_seeded g;
    msfl_seeded_init(&g, seed, "phantom patient", patient, 0, 0);
    anatomy a;
    a.body_width = between(&g, 0.80, 0.98);
    a.chest_width = between(&g, 0.62, 0.76);
    a.chest_height = between(&g, 0.66, 0.80);
    a.lung_gap = between(&g, 0.10, 0.15);
    a.heart_width = between(&g, 0.24, 0.36);
    a.heart_height = between(&g, 0.24, 0.32);
    a.heart_x = between(&g, 0.08, 0.15);
    a.spine_width = between(&g, 0.06, 0.09);
    a.rib_step = between(&g, 0.150, 0.185);
    a.rib_slope = between(&g, 0.30, 0.60);
    a.rib_width = between(&g, 0.022, 0.034);
    a.rib_strength = between(&g, 0.10, 0.22);
    a.thickness = between(&g, 0.80, 1.20);
    a.breast = msfl_seeded_unit(&g) < 0.5 ? between(&g, 0.04, 0.16) : 0;
    a.vessels = between(&g, 0.05, 0.14);
    fill_lattice(&g, a.lattice);
    return a;
}

/* Spots lie inside one lung, mostly in its middle and lower part. */
static blob draw_blob(msfl_seeded *g, const anatomy *a, double side, double strength, double size) {
    double x = side * (a->lung_gap + between(g, 0.22, 0.85) * (a->chest_width - a->lung_gap) * 0.9);
    double y = between(g, -0.45, 0.40);
    double size_x = size * between(g, 0.8, 1.3), size_y = size * between(g, 0.8, 1.3);
    double turn = between(g, 0, 3.14159);
    return (blob){x, y, size_x, size_y, cos(turn), sin(turn), strength};
}

static visit draw_visit(uint64_t seed, uint32_t image, const anatomy *a, bool opacity) {
    msfl_seeded g;
    msfl_seeded_init(&g, seed, "phantom visit", image, 0, 0);
    double angle = between(&g, -0.07, 0.07);
    visit v = {.n_blobs = 0};
    v.cosine = cos(angle);
    v.sine = sin(angle);
    v.shift_x = between(&g, -0.06, 0.06);
    v.shift_y = between(&g, -0.06, 0.06);
    v.zoom = between(&g, 0.92, 1.08);
    v.breath = between(&g, -0.07, 0.07);
    v.exposure = between(&g, 0.80, 1.25);
    v.gamma = between(&g, 0.85, 1.20);
    v.noise = between(&g, 0.008, 0.025);
    v.tilt_x = between(&g, -0.05, 0.05);
    v.tilt_y = between(&g, -0.05, 0.05);
    fill_lattice(&g, v.lattice);
    double kind = msfl_seeded_unit(&g), side = msfl_seeded_unit(&g) < 0.5 ? -1 : 1;
    double strength = between(&g, 0.45, 0.90);
    if (!opacity) {
        /* Something small and faint to be told from the real thing: a nipple, a vessel seen end on. */
        if (kind < 0.35) v.blobs[v.n_blobs++] = draw_blob(&g, a, side, between(&g, 0.10, 0.22), 0.035);
        return v;
    }
    if (kind < 0.65) {
        v.blobs[v.n_blobs++] = draw_blob(&g, a, side, strength, between(&g, 0.12, 0.21));
    } else if (kind < 0.85) {
        for (int i = 0; i < 3; i++)
            v.blobs[v.n_blobs++] = draw_blob(&g, a, i == 2 ? -side : side, strength, between(&g, 0.075, 0.105));
    } else {
        blob base = draw_blob(&g, a, side, strength, 0.20);
        base.y = between(&g, 0.28, 0.42);
        base.size_x = 0.26;
        v.blobs[v.n_blobs++] = base;
    }
    return v;
}

/* 0 below, 1 above, smooth within +- width of the edge. */
static double step(double x, double width) {
    double t = x / (2 * width) + 0.5;
    t = t < 0 ? 0 : t > 1 ? 1 : t;
    return t * t * (3 - 2 * t);
}

static double power_2_5(double x) {
    return x * x * sqrt(x);
}

static double distance(double x, double y) {
    return sqrt(x * x + y * y);
}

static double bump(double x, double width) {
    double t = x / width;
    return t > 4 || t < -4 ? 0 : exp(-0.5 * t * t);
}

/* Smooth noise of about 1: random values on a grid over [-1, 1], blended in between. */
static double smooth_noise(double lattice[LATTICE][LATTICE], double x, double y) {
    double fx = (x + 1) / 2 * (LATTICE - 1), fy = (y + 1) / 2 * (LATTICE - 1);
    fx = fx < 0 ? 0 : fx > LATTICE - 1.001 ? LATTICE - 1.001 : fx;
    fy = fy < 0 ? 0 : fy > LATTICE - 1.001 ? LATTICE - 1.001 : fy;
    int i = (int)fy, j = (int)fx;
    double u = fx - j, w = fy - i;
    u = u * u * (3 - 2 * u);
    w = w * w * (3 - 2 * w);
    double top = lattice[i][j] + u * (lattice[i][j + 1] - lattice[i][j]);
    double bottom = lattice[i + 1][j] + u * (lattice[i + 1][j + 1] - lattice[i + 1][j]);
    return top + w * (bottom - top);
}

/* How much of the beam's way leads through lung, 0 to 1. */
static double lung_at(const anatomy *a, const visit *v, double x, double y) {
    double side = x < 0 ? -1 : 1;
    double middle = (a->lung_gap + a->chest_width) / 2, half = (a->chest_width - a->lung_gap) / 2;
    /* Narrow at the top, wide below. */
    double rise = (y + a->chest_height) / (2 * a->chest_height);
    double width = half * (0.62 + 0.46 * rise);
    double centre = middle * (0.78 + 0.26 * rise);
    double across = (side * x - centre) / width, along = (y + 0.06) / a->chest_height;
    double inside = 1 - power_2_5(fabs(across)) - power_2_5(fabs(along));
    if (inside <= -0.3) return 0;
    /* The dome of the diaphragm; on the patient's right the liver pushes it up. */
    double dome = (side < 0 ? 0.40 : 0.47) + v->breath + 0.55 * across * across * width;
    double lung = step(inside, 0.10) * step(dome - y, 0.02);
    double heart_x = (x - a->heart_x) / a->heart_width, heart_y = (y - 0.26 - 0.5 * v->breath) / a->heart_height;
    double turned = heart_x * 0.9 + heart_y * 0.35, other = heart_y * 0.95 - heart_x * 0.3;
    double heart = step(1 - turned * turned - other * other, 0.10);
    return lung * (1 - heart) * (0.72 + 0.28 * (inside > 1 ? 1 : inside < 0 ? 0 : inside));
}

static double ribs_at(const anatomy *a, double x, double y) {
    double out = fabs(x);
    double wide = out / (a->chest_width * 1.06), high = (y + 0.06) / (a->chest_height * 1.08);
    double cage = step(1 - wide * wide * wide - high * high * high * high, 0.08);
    if (cage <= 0) return 0;
    /* Ribs behind fall outwards, ribs in front fall inwards and are fainter. Each is a tube: denser at its rims. */
    double back = (y + 0.75 - a->rib_slope * out * (0.35 + 0.9 * out)) / a->rib_step;
    double front = (y + 0.45 + 0.8 * (out - 0.45)) / (1.15 * a->rib_step);
    double to_back = (back - nearbyint(back)) * a->rib_step;
    double to_front = (front - nearbyint(front)) * 1.15 * a->rib_step;
    double rim = fabs(fabs(to_back) - a->rib_width * 0.8);
    double density = 0.75 * bump(to_back, a->rib_width) + 0.45 * bump(rim, 0.3 * a->rib_width);
    double front_density = 0.45 * bump(to_front, 1.2 * a->rib_width) * step(out - 0.30, 0.08);
    return cage * a->rib_strength * (density + front_density);
}

static double bones_at(const anatomy *a, double x, double y) {
    double out = fabs(x);
    double spine = step(a->spine_width - out, 0.02), clavicle = 0;
    if (spine > 0) spine *= 0.20 + 0.05 * cos(2 * 3.14159265 * y / 0.13);
    if (y < -0.3) {
        double clavicle_y = -0.66 - 0.16 * (out - 0.35) + 0.10 * sin(6 * out);
        clavicle = 0.16 * bump(y - clavicle_y, 0.026) * step(out - 0.06, 0.03) * step(0.72 - out, 0.06);
    }
    return spine + clavicle + ribs_at(a, x, y);
}

static double spots_at(visit *v, double x, double y) {
    double sum = 0;
    for (int i = 0; i < v->n_blobs; i++) {
        const blob *b = &v->blobs[i];
        double dx = x - b->x, dy = y - b->y, c = b->cosine, s = b->sine;
        double r = distance((c * dx + s * dy) / b->size_x, (c * dy - s * dx) / b->size_y);
        if (r > 3) continue;
        double ragged = 1 + 0.45 * smooth_noise(v->lattice, 2.5 * dx / 0.6, 2.5 * dy / 0.6);
        sum += b->strength * exp(-0.5 * r * r * r * (0.6 + 0.4 * r)) * ragged;
    }
    return sum;
}

/* Brightness, 0 to 1, of a point of the patient before noise. */
static double point_at(anatomy *a, visit *v, double x, double y) {
    /* Neck above, shoulders below it, trunk. */
    double shoulder = a->body_width * step(y + 0.86, 0.14);
    double half = shoulder > 0.30 ? shoulder : 0.30;
    double edge = step(half - fabs(x), 0.03);
    if (edge <= 0) return 0.02;
    double depth = 1 - 0.45 * (x / half) * (x / half);
    double lung = lung_at(a, v, x, y);
    double hilum = bump(distance(fabs(x) - a->lung_gap - 0.06, 0.8 * (y + 0.02)), 0.11);
    double vessels = a->vessels * (0.9 * hilum + 0.55 * smooth_noise(a->lattice, 1.0 * x, 1.0 * y) +
                                   0.35 * smooth_noise(v->lattice, -x, y));
    double breast = a->breast * step(1 - distance((fabs(x) - 0.42) / 0.30, (y - 0.28) / 0.26), 0.25);
    double mediastinum = 0.10 * bump(x, 0.13);
    double spots = lung > 0 ? spots_at(v, x, y) : 0;
    double tissue = a->thickness * depth * (0.86 - 0.60 * lung) + mediastinum + breast + bones_at(a, x, y) +
                    lung * (vessels + spots);
    return edge * (1 - exp(-1.25 * v->exposure * tissue));
}

typedef struct drawing {
    msfl_dataset *set;
    const msfl_dataset_options *options;
    msfl_progress progress;
    const uint32_t *patient_of;
    const bool *opacity;
} drawing;

static msfl_status draw_one(void *ctx, size_t index) {
    drawing *d = ctx;
    const msfl_dataset_info *info = &d->set->info;
    msfl_status status = msfl_progress_step(&d->progress, 1);
    if (status != MSFL_OK) return status;
    anatomy a = draw_anatomy(d->options->seed, d->patient_of[index]);
    visit v = draw_visit(d->options->seed, (uint32_t)index, &a, d->opacity[index]);
    msfl_seeded noise;
    msfl_seeded_init(&noise, d->options->seed, "phantom noise", index, 0, 0);
    uint8_t *out = msfl_set_samples(d->set, index);
    for (uint32_t row = 0; row < info->height; row++) {
        for (uint32_t column = 0; column < info->width; column++) {
            double px = (2.0 * column + 1) / info->width - 1 - v.shift_x;
            double py = (2.0 * row + 1) / info->height - 1 - v.shift_y;
            double x = (v.cosine * px + v.sine * py) / v.zoom, y = (v.cosine * py - v.sine * px) / v.zoom;
            double light = point_at(&a, &v, x, y) + v.tilt_x * px + v.tilt_y * py;
            light = pow(light > 0 ? light : 0, v.gamma) + v.noise * msfl_seeded_normal(&noise);
            double level = light * 255 + 0.5;
            uint8_t value = (uint8_t)(level < 0 ? 0 : level > 255 ? 255 : level);
            for (uint32_t k = 0; k < info->channels; k++)
                *out++ = value;
        }
    }
    d->set->origins[index] = (msfl_origin){info->width, info->height, info->channels, 8, MSFL_PART_NONE, "drawing"};
    return MSFL_OK;
}

/* Who comes how often, and with what. The first two patients make sure that both classes are there. */
static void make_roster(uint64_t seed, uint32_t n, uint32_t *patient_of, bool *opacity) {
    msfl_seeded g;
    msfl_seeded_init(&g, seed, "phantom roster", 0, 0, 0);
    uint32_t patient = 0;
    for (uint32_t i = 0; i < n; patient++) {
        uint32_t visits = 1 + (uint32_t)msfl_seeded_below(&g, VISITS_MAX);
        bool ill = msfl_seeded_unit(&g) < 0.5;
        if (patient < 2) ill = patient == 1;
        for (uint32_t j = 0; j < visits && i < n; j++, i++) {
            bool healed = j > 0 && msfl_seeded_unit(&g) < 0.2;
            patient_of[i] = patient;
            opacity[i] = ill && !healed;
        }
    }
}

msfl_status msfl_set_load_phantom(msfl_dataset *set, const msfl_dataset_options *options) {
    uint32_t n = options->phantom_images != 0 ? options->phantom_images : MSFL_PHANTOM_IMAGES_DEFAULT;
    if (n < IMAGES_MIN || n > MSFL_IMAGES_MAX) {
        return msfl_fail(MSFL_ERR_USAGE, "%u phantom images were asked for; %d to %d are possible", n, IMAGES_MIN,
                         MSFL_IMAGES_MAX);
    }
    if (options->label != NULL) {
        return msfl_fail(MSFL_ERR_USAGE, "phantom images have one kind of label only; leave out '%.100s'",
                         options->label);
    }
    set->info.kind = "phantom";
    set->info.synthetic = true;
    set->info.width = options->width != 0 ? options->width : MSFL_PHANTOM_SIDE_DEFAULT;
    set->info.height = options->height != 0 ? options->height : MSFL_PHANTOM_SIDE_DEFAULT;
    set->info.channels = options->channels != 0 ? options->channels : 1;
    set->info.bits = 8;
    msfl_texts labels = {0}, keys = {0};
    msfl_pool *pool = NULL;
    msfl_status status = msfl_set_allocate(set, n);
    uint32_t *patient_of = msfl_alloc(n, sizeof *patient_of);
    bool *opacity = msfl_alloc(n, sizeof *opacity);
    if (status == MSFL_OK && (patient_of == NULL || opacity == NULL)) status = MSFL_ERR_MEMORY;
    if (status == MSFL_OK) status = msfl_pool_new(options->n_threads, &pool);
    if (status != MSFL_OK) goto done;
    make_roster(options->seed, n, patient_of, opacity);
    drawing d = {.set = set, .options = options, .patient_of = patient_of, .opacity = opacity};
    msfl_progress_init(&d.progress, options->observer, "drawing phantom images", n);
    status = msfl_pool_run(pool, n, draw_one, &d);
    msfl_progress_clear(&d.progress);
    for (uint32_t i = 0; i < n && status == MSFL_OK; i++) {
        const char *label = opacity[i] ? "opacity" : "normal";
        status = msfl_texts_add(&labels, label, strlen(label));
        if (status == MSFL_OK) status = msfl_texts_add_format(&keys, "%u", patient_of[i]);
        if (status == MSFL_OK) status = msfl_texts_add_format(&set->names, "phantom[%u]", i);
    }
    if (status == MSFL_OK) {
        char *label_key = msfl_strdup("drawn"), *group_key = msfl_strdup("phantom patient");
        if (group_key == NULL) {
            msfl_free(label_key);
            status = MSFL_ERR_MEMORY;
        } else {
            status = msfl_set_finish(set, &labels, &keys, label_key, group_key);
        }
    }
done:
    msfl_pool_free(pool);
    msfl_free(patient_of);
    msfl_free(opacity);
    msfl_texts_clear(&labels);
    msfl_texts_clear(&keys);
    return status;
}
