/* A model file on single files, as a folder's pictures are prepared or by a recipe. */
#include "base/error.h"
#include "base/mem.h"
#include "dataset/pixels.h"
#include "federation/normalise.h"
#include "image/decode.h"
#include "medsecurefl/metrics.h"
#include "medsecurefl/simulate.h"
#include "medsecurefl/train.h"
#include "recipe/sample.h"
#include "text/json.h"

#include <string.h>

/* What one file became: pictures of the network's size, normalised. */
typedef struct input {
    float *pixels;
    uint32_t n;
    size_t each;       /* floats of one picture */
    double spacing[3]; /* mm between voxels of a volume; 0: not known */
} input;

static msfl_status load_one(void *ctx, uint32_t i, uint64_t augment_seed, float *pixels, uint32_t *label) {
    const input *in = ctx;
    (void)augment_seed;
    memcpy(pixels, in->pixels + i * in->each, in->each * sizeof *pixels);
    *label = 0;
    return MSFL_OK;
}

static msfl_status check_recipe(const msfl_recipe *r, const char *recipe_path, const char *model_path,
                                const msfl_model_info *m) {
    if (r->n_sequences > 1) {
        return msfl_fail(
            MSFL_ERR_UNSUPPORTED,
            "%s takes several sequences a sample, and single files cannot be put together: use 'data import' "
            "and 'evaluate'",
            recipe_path);
    }
    if (r->depth == m->depth && r->width == m->width && r->height == m->height && r->channels == m->channels) {
        return MSFL_OK;
    }
    if (r->depth > 1 || m->is_volume) {
        return msfl_fail(MSFL_ERR_MISMATCH, "%s makes images of %u x %u x %u x %u, and %s takes %u x %u x %u x %u",
                         recipe_path, r->depth, r->width, r->height, r->channels, model_path, m->depth, m->width,
                         m->height, m->channels);
    }
    return msfl_fail(MSFL_ERR_MISMATCH, "%s makes pictures of %u x %u x %u, and %s takes %u x %u x %u", recipe_path,
                     r->width, r->height, r->channels, model_path, m->width, m->height, m->channels);
}

static void normalise_all(const msfl_recipe *r, const msfl_pictures *p, msfl_normalise how, input *out) {
    for (uint32_t i = 0; i < p->n; i++) {
        float *to = out->pixels + i * out->each;
        msfl_pixels_normalise(p->samples + i * msfl_recipe_picture_bytes(r), r->bits, out->each, how, 0, 1, to);
        for (size_t k = 0; k < out->each && how == MSFL_NORMALISE_NONE; k++)
            to[k] = (float)r->low + (float)(r->high - r->low) * to[k];
    }
}

static msfl_status load_by_recipe(const msfl_recipe *r, const char *path, msfl_normalise how, input *out) {
    msfl_image_facts facts;
    msfl_image image = {0};
    msfl_sample sample = {0};
    msfl_pictures pictures = {0};
    msfl_status status = msfl_image_open(path, false, &facts, &image);
    if (status == MSFL_OK) status = msfl_sample_add(r, path, &image, &sample);
    msfl_image_clear(&image);
    if (status == MSFL_OK) status = msfl_sample_run(r, path, &sample);
    if (status == MSFL_OK) status = msfl_sample_store(r, &sample, &pictures);
    msfl_sample_clear(&sample);
    if (status == MSFL_OK) {
        msfl_free(out->pixels);
        out->n = pictures.n;
        out->pixels = msfl_alloc(pictures.n * out->each, sizeof *out->pixels);
        if (out->pixels == NULL) status = MSFL_NO_MEMORY;
    }
    memcpy(out->spacing, pictures.spacing, sizeof out->spacing);
    if (status == MSFL_OK) normalise_all(r, &pictures, how, out);
    msfl_pictures_clear(&pictures);
    return status;
}

/* The mean over the pictures of a file: the slices of a volume vote. */
static void average(float *probabilities, uint32_t n, uint32_t n_classes) {
    for (uint32_t c = 0; c < n_classes; c++) {
        double sum = 0;
        for (uint32_t i = 0; i < n; i++)
            sum += (double)probabilities[(size_t)i * n_classes + c];
        probabilities[c] = (float)(sum / n);
    }
}

static json_t *class_name(const msfl_model_extra *extra, uint32_t c) {
    return extra->class_names != NULL ? msfl_json_string(extra->class_names[c]) : json_integer(c);
}

static json_t *prediction_json(const char *path, const float *p, uint32_t n_classes, const msfl_model_extra *extra) {
    uint32_t best = 0;
    json_t *probabilities = json_array();
    for (uint32_t c = 0; c < n_classes; c++) {
        if (p[c] > p[best]) best = c;
        json_array_append_new(probabilities,
                              json_pack("{s:o, s:f}", "class", class_name(extra, c), "probability", (double)p[c]));
    }
    return json_pack("{s:o, s:o, s:f, s:o}", "file", msfl_json_string(path), "class", class_name(extra, best),
                     "probability", (double)p[best], "probabilities", probabilities);
}

/* How much of a volume each structure is: voxels of the recipe's grid, and millilitres where their size is known. */
static json_t *structures_json(const char *path, const float *p, const msfl_model_info *m, const input *in,
                               const msfl_model_extra *extra) {
    uint64_t counts[MSFL_CLASSES_MAX] = {0};
    for (uint32_t i = 0; i < m->n_targets; i++, p += m->n_classes) {
        uint32_t best = 0;
        for (uint32_t c = 1; c < m->n_classes; c++) {
            if (p[c] > p[best]) best = c;
        }
        counts[best]++;
    }
    const double ml = in->spacing[0] * in->spacing[1] * in->spacing[2] / 1000;
    json_t *list = json_array();
    for (uint32_t c = 1; c < m->n_classes; c++) {
        json_t *one = json_pack("{s:o, s:I}", "class", class_name(extra, c), "voxels", (json_int_t)counts[c]);
        if (ml > 0) json_object_set_new(one, "millilitres", json_real(ml * (double)counts[c]));
        json_array_append_new(list, one);
    }
    return json_pack("{s:o, s:o}", "file", msfl_json_string(path), "structures", list);
}

/* Networks whose answer on single files can be told here. */
static msfl_status check_answer(const char *model_path, const msfl_model_info *m, bool by_recipe) {
    if (m->n_classes <= MSFL_CLASSES_MAX && (!m->is_pixelwise || (m->is_volume && by_recipe))) return MSFL_OK;
    return msfl_fail(
        MSFL_ERR_UNSUPPORTED,
        "%s gives classes to pixels, or more than %d of them to an image; 'evaluate' judges masks. Sizes of "
        "structures are told here of networks for whole volumes (unet3d), with --recipe",
        model_path, MSFL_CLASSES_MAX);
}

msfl_status msfl_predict_files_by(const char *model_path, const char *recipe_path, bool any_recipe,
                                  const char *const *paths, size_t n_paths, size_t *n_failed, char **result_json) {
    msfl_model *model = NULL;
    float *weights = NULL, *probabilities = NULL;
    input in = {0};
    msfl_recipe recipe;
    msfl_model_extra extra = {0};
    msfl_trainer *trainer = NULL;
    msfl_normalise normalise = MSFL_NORMALISE_IMAGE;
    json_t *list = json_array();
    *result_json = NULL;
    *n_failed = 0;
    msfl_status status = msfl_model_load(model_path, &model, &weights, &extra);
    if (status == MSFL_OK) status = fed_normalise_of(model_path, &extra, &normalise);
    if (status == MSFL_OK && normalise == MSFL_NORMALISE_SET) {
        status = msfl_fail(MSFL_ERR_UNSUPPORTED,
                           "%s was trained with per-set normalisation: single files cannot be normalised that way; use "
                           "'evaluate' on a folder",
                           model_path);
    }
    if (status == MSFL_OK) status = check_answer(model_path, msfl_model_info_borrow(model), recipe_path != NULL);
    if (status == MSFL_OK && recipe_path != NULL) status = msfl_recipe_read(recipe_path, &recipe);
    if (status == MSFL_OK && recipe_path != NULL) {
        status = check_recipe(&recipe, recipe_path, model_path, msfl_model_info_borrow(model));
    }
    if (status == MSFL_OK) {
        char hash[2 * MSFL_HASH_BYTES + 1] = "";
        if (recipe_path != NULL) msfl_hex(recipe.hash, sizeof recipe.hash, hash);
        status = fed_recipe_fits(model_path, &extra, recipe_path != NULL ? hash : NULL,
                                 recipe_path != NULL ? recipe_path : "a single file", any_recipe);
    }
    if (status == MSFL_OK && recipe_path == NULL && msfl_model_info_borrow(model)->is_volume) {
        status = msfl_fail(MSFL_ERR_USAGE, "%s takes volumes: say with --recipe how they are prepared", model_path);
    }
    if (status == MSFL_OK) status = msfl_trainer_new(model, 1, 1, NULL, &trainer);
    if (status != MSFL_OK) goto done;
    const msfl_model_info *m = msfl_model_info_borrow(model);
    in.each = (size_t)m->depth * m->height * m->width * m->channels;
    in.n = 1;
    in.pixels = msfl_alloc(in.each, sizeof *in.pixels);
    probabilities =
        msfl_alloc(m->is_pixelwise ? m->n_targets : MSFL_RECIPE_SLICES_MAX, m->n_classes * sizeof *probabilities);
    if (in.pixels == NULL || probabilities == NULL) {
        status = MSFL_ERR_MEMORY;
        goto done;
    }
    for (size_t i = 0; i < n_paths; i++) {
        msfl_status read = recipe_path != NULL ? load_by_recipe(&recipe, paths[i], normalise, &in)
                                               : msfl_image_load(paths[i], m->height, m->width, m->channels, normalise,
                                                                 in.pixels, NULL);
        if (read != MSFL_OK) {
            ++*n_failed;
            json_array_append_new(list, json_pack("{s:o, s:o}", "file", msfl_json_string(paths[i]), "error",
                                                  msfl_json_string(msfl_error_message())));
            continue;
        }
        const msfl_samples samples = {.n = in.n, .ctx = &in, .load = load_one};
        status = msfl_predict(trainer, weights, &samples, probabilities, NULL, NULL);
        if (status != MSFL_OK) goto done;
        if (m->is_pixelwise) { /* one volume */
            json_array_append_new(list, structures_json(paths[i], probabilities, m, &in, &extra));
            continue;
        }
        average(probabilities, in.n, m->n_classes);
        json_t *one = prediction_json(paths[i], probabilities, m->n_classes, &extra);
        if (recipe_path != NULL) json_object_set_new(one, "pictures", json_integer(in.n));
        json_array_append_new(list, one);
    }
    status = msfl_json_text(list, false, result_json);
done:
    json_decref(list);
    msfl_free(in.pixels);
    msfl_free(probabilities);
    msfl_trainer_free(trainer);
    msfl_model_extra_clear(&extra);
    msfl_floats_free(weights);
    msfl_model_free(model);
    return status;
}

msfl_status msfl_predict_files(const char *model_path, const char *const *paths, size_t n_paths, size_t *n_failed,
                               char **result_json) {
    return msfl_predict_files_by(model_path, NULL, false, paths, n_paths, n_failed, result_json);
}
