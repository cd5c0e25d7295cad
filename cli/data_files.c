/* medsecurefl data inspect FILE...: one object or line for each file. */
#include "base/error.h"
#include "base/mem.h"
#include "base/threads.h"
#include "cmd.h"
#include "cmd_data.h"
#include "columns.h"
#include "medsecurefl/inspect.h"
#include "terminal.h"
#include "text/json.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* Files are read by several threads, so many at a time, and shown in their order, each as soon as those before it are:
 * memory does not grow with them. */
enum { BATCH = 64, SHOWN_DIGITS = 6 };

typedef struct result {
    msfl_inspection facts;
    msfl_status status;
    char *message;
} result;

typedef struct job {
    const char *const *files;
    size_t n; /* of this batch */
    bool json;
    pthread_mutex_t mutex; /* over what follows, and standard output */
    result results[BATCH];
    bool has_result[BATCH];
    size_t n_shown;
    /* Of all batches. */
    size_t n_bad;
    msfl_status first;
    char *first_message;
} job;

/* --- JSON --- */

static json_t *numbers(const double *values, size_t n, bool zero_is_null) {
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, zero_is_null && values[i] == 0 ? json_null() : msfl_json_real(values[i]));
    return list;
}

static json_t *sizes(const uint64_t *values, size_t n) {
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_integer((json_int_t)values[i]));
    return list;
}

static void put_figures(json_t *root, const char *const names[3], const msfl_figures *f) {
    const double values[3] = {f->minimum, f->maximum, f->mean};
    for (int i = 0; i < 3; i++)
        json_object_set_new(root, names[i], f->n > 0 ? msfl_json_real(values[i]) : json_null());
}

static void put_text(json_t *root, const char *key, const char *text) {
    if (text[0] != 0) json_object_set_new(root, key, msfl_json_string(text));
}

static void put_place(json_t *root, const msfl_inspection *f) {
    if (f->affine_from[0] == 0) return;
    json_t *affine = json_array();
    for (int i = 0; i < 3; i++)
        json_array_append_new(affine, numbers(f->affine[i], 4, false));
    json_object_set_new(root, "affine", affine);
    put_text(root, "affine_from", f->affine_from);
    put_text(root, "axes", f->axes);
}

static void put_facts(json_t *root, const msfl_inspection *f) {
    static const char *const stored[3] = {"min", "max", "mean"};
    static const char *const rescaled[3] = {"rescaled_min", "rescaled_max", "rescaled_mean"};
    put_text(root, "array", f->array);
    json_object_set_new(root, "shape", sizes(f->shape, f->n_shape));
    if (f->times > 1) json_object_set_new(root, "times", json_integer(f->times));
    json_object_set_new(root, "spacing_mm", numbers(f->spacing_mm, 3, true));
    if (f->n_dims > 0) {
        json_object_set_new(root, "dims", sizes(f->dims, f->n_dims));
        json_object_set_new(root, "dims_step", numbers(f->dims_step, f->n_dims, false));
    }
    json_object_set_new(root, "dtype", json_string(f->dtype));
    json_object_set_new(root, "bits_stored", json_integer(f->bits_stored));
    put_text(root, "colour", f->colour);
    put_figures(root, stored, &f->stored);
    put_figures(root, rescaled, &f->rescaled);
    json_object_set_new(root, "n_nonfinite", json_integer((json_int_t)f->stored.n_nonfinite));
    if (f->has_rgb_mean) json_object_set_new(root, "rgb_mean", numbers(f->rgb_mean, 3, false));
    json_object_set_new(root, "slope", f->has_rescale ? msfl_json_real(f->slope) : json_null());
    json_object_set_new(root, "intercept", f->has_rescale ? msfl_json_real(f->intercept) : json_null());
    if (f->has_window) {
        const double window[2] = {f->window_centre, f->window_width};
        json_object_set_new(root, "window", numbers(window, 2, false));
    }
    put_place(root, f);
    put_text(root, "transfer_syntax", f->transfer_syntax);
    put_text(root, "modality", f->modality);
    put_text(root, "digest", f->digest);
}

static msfl_status print_json(const char *file, const result *r) {
    json_t *root = json_object();
    json_object_set_new(root, "file", msfl_json_string(file));
    json_object_set_new(root, "format", r->facts.format[0] != 0 ? json_string(r->facts.format) : json_null());
    if (r->status == MSFL_OK) {
        put_facts(root, &r->facts);
    } else {
        json_object_set_new(root, "error", json_string(r->facts.error));
        json_object_set_new(root, "message", msfl_json_string(r->message));
    }
    char *text;
    msfl_status status = msfl_json_text(root, true, &text);
    json_decref(root);
    if (status != MSFL_OK) return status;
    puts(text);
    msfl_free(text);
    return MSFL_OK;
}

/* --- lines for people --- */

static void put_line(msfl_buffer *line, const char *file, const result *r) {
    const msfl_inspection *f = &r->facts;
    cli_put_columns(line, file, SIZE_MAX, cli_locale_is_utf8());
    if (r->status != MSFL_OK) {
        msfl_put_text(line, ": %s (", f->error);
        /* Messages begin with the file, which stands before them already. */
        size_t length = strlen(file);
        bool again = strncmp(r->message, file, length) == 0 && strncmp(r->message + length, ": ", 2) == 0;
        cli_put_columns(line, r->message + (again ? length + 2 : 0), SIZE_MAX, cli_locale_is_utf8());
        msfl_put_text(line, ")");
        return;
    }
    msfl_put_text(line, ": %s", f->format);
    for (uint32_t i = 0; i < f->n_shape; i++)
        msfl_put_text(line, "%s%llu", i > 0 ? " x " : ", ", (unsigned long long)f->shape[i]);
    msfl_put_text(line, " %s", f->dtype);
    if (f->colour[0] != 0) msfl_put_text(line, ", %s", f->colour);
    if (f->spacing_mm[1] > 0 && !(f->spacing_mm[0] > 0)) { /* how far slices lie apart need not be known */
        msfl_put_text(line, ", %.*g x %.*g mm", SHOWN_DIGITS, f->spacing_mm[1], SHOWN_DIGITS, f->spacing_mm[2]);
    } else if (f->spacing_mm[1] > 0) {
        msfl_put_text(line, ", %.*g x %.*g x %.*g mm", SHOWN_DIGITS, f->spacing_mm[0], SHOWN_DIGITS, f->spacing_mm[1],
                      SHOWN_DIGITS, f->spacing_mm[2]);
    }
    if (f->stored.n > 0) {
        msfl_put_text(line, ", %.*g to %.*g, mean %.*g", SHOWN_DIGITS, f->rescaled.minimum, SHOWN_DIGITS,
                      f->rescaled.maximum, SHOWN_DIGITS, f->rescaled.mean);
    }
}

static msfl_status print_line(const char *file, const result *r) {
    msfl_buffer line = {0};
    put_line(&line, file, r);
    msfl_status status = line.status;
    if (status == MSFL_OK) {
        fwrite(line.bytes, 1, line.length, stdout);
        putchar('\n');
    }
    msfl_buffer_clear(&line);
    return status;
}

/* --- one after another --- */

/* Under the mutex. */
static msfl_status show(job *j, size_t i) {
    result *r = &j->results[i];
    msfl_status status = j->json ? print_json(j->files[i], r) : print_line(j->files[i], r);
    if (r->status != MSFL_OK && j->n_bad++ == 0) {
        j->first = r->status;
        j->first_message = r->message;
        r->message = NULL;
    }
    msfl_free(r->message);
    *r = (result){0};
    return status;
}

static msfl_status inspect_one(void *ctx, size_t i) {
    job *j = ctx;
    result *r = &j->results[i];
    if (*cli_cancel_flag()) return msfl_fail(MSFL_ERR_CANCELLED, "stopped on request");
    r->status = msfl_inspect_file(j->files[i], &r->facts);
    if (r->status != MSFL_OK) {
        r->message = msfl_strdup(msfl_error_message());
        if (r->message == NULL) return MSFL_ERR_MEMORY;
    }
    msfl_status status = MSFL_OK;
    pthread_mutex_lock(&j->mutex);
    j->has_result[i] = true;
    for (; j->n_shown < j->n && j->has_result[j->n_shown] && status == MSFL_OK; j->n_shown++)
        status = show(j, j->n_shown);
    fflush(stdout);
    pthread_mutex_unlock(&j->mutex);
    return status;
}

msfl_status cli_data_files(const char *const *files, size_t n, uint32_t n_threads, bool json) {
    msfl_pool *pool = NULL;
    job *j = msfl_alloc(1, sizeof *j);
    if (j == NULL) return MSFL_NO_MEMORY;
    pthread_mutex_init(&j->mutex, NULL);
    j->json = json;
    msfl_status status = msfl_pool_new(n_threads, &pool);
    for (size_t at = 0; at < n && status == MSFL_OK; at += BATCH) {
        j->files = files + at;
        j->n = n - at < BATCH ? n - at : BATCH;
        j->n_shown = 0;
        memset(j->has_result, 0, sizeof j->has_result);
        status = msfl_pool_run(pool, j->n, inspect_one, j);
        for (size_t i = 0; i < j->n; i++) { /* what was read before it was stopped */
            msfl_free(j->results[i].message);
            j->results[i] = (result){0};
        }
    }
    if (status == MSFL_OK && j->n_bad > 0) {
        status = msfl_fail(j->first, "%zu of %zu files cannot be read; the first: %s", j->n_bad, n, j->first_message);
    }
    msfl_free(j->first_message);
    pthread_mutex_destroy(&j->mutex);
    msfl_pool_free(pool);
    msfl_free(j);
    return status;
}
