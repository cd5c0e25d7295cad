#include "dataset/set.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/observe.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void msfl_progress_init(msfl_progress *p, const msfl_observer *observer, const char *phase, uint64_t total) {
    *p = (msfl_progress){.observer = observer, .total = total};
    pthread_mutex_init(&p->mutex, NULL);
    msfl_observe_text(observer, MSFL_EVENT_PHASE, "data", "%s", phase);
}

msfl_status msfl_progress_step(msfl_progress *p, uint64_t n) {
    enum { PERIOD_NS = 40 * 1000 * 1000 };
    pthread_mutex_lock(&p->mutex);
    p->done += n;
    uint64_t now = msfl_now_ns();
    if (now - p->told_ns >= PERIOD_NS || p->done == p->total) {
        p->told_ns = now;
        msfl_event event = {.kind = MSFL_EVENT_PROGRESS,
                            .track = "data",
                            .client = -1,
                            .done = p->done,
                            .total = p->total,
                            .loss = NAN};
        msfl_observe(p->observer, &event);
    }
    pthread_mutex_unlock(&p->mutex);
    return msfl_check_cancel(p->observer);
}

void msfl_progress_clear(msfl_progress *p) {
    pthread_mutex_destroy(&p->mutex);
}

msfl_status msfl_set_check_memory(const msfl_dataset *set, double bytes, const char *purpose) {
    double machine = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
    if (machine > 0 && bytes > 0.75 * machine) {
        return msfl_fail(MSFL_ERR_LIMIT, "%s: %.1f GiB are needed %s, and this machine has %.1f GiB in all",
                         set->source, bytes / 0x1p30, purpose, machine / 0x1p30);
    }
    return MSFL_OK;
}

msfl_status msfl_set_allocate(msfl_dataset *set, size_t n) {
    if (n > MSFL_IMAGES_MAX) {
        return msfl_fail(MSFL_ERR_LIMIT, "%s: %zu images; at most %d are accepted", set->source, n, MSFL_IMAGES_MAX);
    }
    if (set->info.depth == 0) set->info.depth = 1;
    set->image_samples = msfl_set_pixels(set) * set->info.channels;
    uint32_t sample_bytes = set->info.bits / 8;
    double bytes = (double)n * (double)set->image_samples * sample_bytes;
    char purpose[100];
    snprintf(purpose, sizeof purpose, "for %zu images of %u x %u x %u samples (choose a smaller size)", n,
             set->info.width, set->info.height, set->info.channels);
    msfl_status status = msfl_set_check_memory(set, bytes, purpose);
    if (status != MSFL_OK) return status;
    set->samples = msfl_alloc(n * set->image_samples, set->info.bits / 8);
    set->labels = msfl_alloc(n, sizeof *set->labels);
    set->groups = msfl_alloc(n, sizeof *set->groups);
    set->origins = msfl_alloc(n, sizeof *set->origins);
    if (set->samples == NULL || set->labels == NULL || set->groups == NULL || set->origins == NULL) {
        return MSFL_ERR_MEMORY;
    }
    set->info.n_images = (uint32_t)n;
    return MSFL_OK;
}

size_t msfl_set_pixels(const msfl_dataset *set) {
    return (size_t)set->info.depth * set->info.height * set->info.width;
}

void *msfl_set_samples(const msfl_dataset *set, size_t image) {
    return (uint8_t *)set->samples + image * set->image_samples * (set->info.bits / 8);
}

/* Behind the last mention of the name: "folder/name: reason". */
static const char *reason_of(const char *message, const char *name) {
    const size_t n = name == NULL ? 0 : strlen(name);
    for (const char *at = n == 0 ? NULL : strstr(message, name); at != NULL; at = strstr(message, name)) {
        message = at + n;
        message += strspn(message, ": ");
    }
    return message;
}

msfl_status msfl_set_skip(msfl_dataset *set, const msfl_dataset_options *options, const char *name,
                          msfl_status status) {
    if (status == MSFL_ERR_MEMORY || status == MSFL_ERR_CANCELLED) return status;
    if (options->refuse_bad) return msfl_fail_in(status, "a broken image, and broken images are to be refused");
    set->info.n_skipped++;
    if (set->skipped.n >= MSFL_SKIPPED_KEPT_MAX) return MSFL_OK;
    msfl_observe_text(options->observer, MSFL_EVENT_WARNING, "data", "skipped: %s", msfl_error_message());
    const char *reason = reason_of(msfl_error_message(), name);
    status = msfl_texts_add(&set->reasons, reason, strlen(reason));
    if (status != MSFL_OK) return status;
    return msfl_texts_add(&set->skipped, msfl_error_message(), strlen(msfl_error_message()));
}

static msfl_status compact_texts(msfl_texts *texts, const bool *broken) {
    msfl_texts kept = {0};
    msfl_status status = MSFL_OK;
    for (size_t i = 0; i < texts->n && status == MSFL_OK; i++) {
        const char *text = msfl_texts_get(texts, i);
        if (!broken[i]) status = msfl_texts_add(&kept, text, strlen(text));
    }
    if (status != MSFL_OK) {
        msfl_texts_clear(&kept);
        return status;
    }
    msfl_texts_clear(texts);
    *texts = kept;
    return MSFL_OK;
}

msfl_status msfl_set_compact(msfl_dataset *set, const bool *broken, msfl_texts **lists, size_t n_lists) {
    size_t kept = 0, bytes = set->image_samples * (set->info.bits / 8);
    for (size_t i = 0; i < set->info.n_images; i++) {
        if (broken[i]) continue;
        if (kept != i) {
            memcpy(msfl_set_samples(set, kept), msfl_set_samples(set, i), bytes);
            set->origins[kept] = set->origins[i];
            size_t size = msfl_set_pixels(set);
            uint8_t *masks = set->masks;
            if (masks != NULL) memcpy(masks + kept * size, masks + i * size, size);
        }
        kept++;
    }
    if (kept == set->info.n_images) return MSFL_OK;
    msfl_status status = compact_texts(&set->names, broken);
    for (size_t i = 0; i < n_lists && status == MSFL_OK; i++)
        status = compact_texts(lists[i], broken);
    set->info.n_images = (uint32_t)kept;
    return status;
}

static msfl_status check_classes(const msfl_dataset *set, uint32_t n_classes) {
    uint32_t n = set->info.n_images;
    if (n == 0) {
        return set->info.n_skipped > 0 ? msfl_fail(MSFL_ERR_DATA, "%s: all %u images are broken; the first: %s",
                                                   set->source, set->info.n_skipped, msfl_texts_get(&set->skipped, 0))
                                       : msfl_fail(MSFL_ERR_DATA, "%s: no images", set->source);
    }
    if (n_classes == 1 && set->masks == NULL) {
        return msfl_fail(
            MSFL_ERR_DATA,
            "%s: all %u images are of one class ('%s' by %s); a network needs at least two to tell apart: add "
            "another class, or choose other labels (--label)",
            set->source, n, msfl_texts_get(&set->class_names, 0), set->label_key);
    }
    if (n_classes > MSFL_CLASSES_MAX || (n_classes > 20 && n_classes > n / 2)) {
        return msfl_fail(
            MSFL_ERR_DATA,
            "%s: %s has %u different values over %u images, so it looks like a measurement or an identifier "
            "and not like a class",
            set->source, set->label_key, n_classes, n);
    }
    return MSFL_OK;
}

static void measure(msfl_dataset *set) {
    size_t n = set->info.n_images * set->image_samples;
    uint32_t full = set->info.bits == 8 ? 255 : 65535;
    uint32_t low = full, high = 0;
    /* Sums of integers are exact, so the result does not depend on the order: below 2^64 for any set that fits. */
    uint64_t sum = 0;
    double squares = 0;
    msfl_intensity *m = &set->intensity;
    enum { CHUNK = 4096 };
    for (size_t begin = 0; begin < n; begin += CHUNK) {
        size_t end = n - begin < CHUNK ? n : begin + CHUNK;
        uint64_t chunk_squares = 0;
        for (size_t i = begin; i < end; i++) {
            uint32_t v = set->info.bits == 8 ? ((const uint8_t *)set->samples)[i] : ((const uint16_t *)set->samples)[i];
            low = v < low ? v : low;
            high = v > high ? v : high;
            sum += v;
            chunk_squares += (uint64_t)v * v;
            m->histogram[v * MSFL_HISTOGRAM_BINS / (full + 1)]++;
        }
        squares += (double)chunk_squares;
    }
    double mean = (double)sum / (double)n;
    double variance = squares / (double)n - mean * mean;
    m->minimum = (double)low / full;
    m->maximum = (double)high / full;
    m->mean = mean / full;
    m->deviation = (variance > 0 ? sqrt(variance) : 0) / full;
    set->stored_min = low;
    set->stored_max = high;
}

static void count_sizes(msfl_dataset *set) {
    enum { SIZES_MAX = 4096 };
    static const uint32_t none = UINT32_MAX;
    /* Open addressing; a set with more sizes than this is reported as having this many. */
    uint32_t *table = msfl_alloc(2 * SIZES_MAX, 2 * sizeof *table);
    if (table == NULL) return;
    for (size_t i = 0; i < 4 * SIZES_MAX; i++)
        table[i] = none;
    set->info.n_sizes = 0;
    for (size_t i = 0; i < set->info.n_images && set->info.n_sizes < SIZES_MAX; i++) {
        uint32_t w = set->origins[i].width, h = set->origins[i].height;
        size_t at = (w * 2654435761u ^ h * 40503u) % (2 * SIZES_MAX);
        while (table[2 * at] != none && (table[2 * at] != w || table[2 * at + 1] != h))
            at = (at + 1) % (2 * SIZES_MAX);
        if (table[2 * at] == none) set->info.n_sizes++;
        table[2 * at] = w;
        table[2 * at + 1] = h;
    }
    msfl_free(table);
}

msfl_status msfl_set_finish(msfl_dataset *set, const msfl_texts *labels, const msfl_texts *keys, char *label_key,
                            char *group_key) {
    set->label_key = label_key;
    set->group_key = group_key;
    if (label_key == NULL) return MSFL_ERR_MEMORY;
    uint32_t n_classes = 0;
    msfl_status status = msfl_texts_code(labels, MSFL_CODE_CLASSES, set->labels, &set->class_names, &n_classes);
    if (status == MSFL_OK) status = check_classes(set, n_classes);
    if (status == MSFL_OK) status = msfl_texts_code(keys, MSFL_CODE_KEYS, set->groups, NULL, &set->info.n_groups);
    if (status != MSFL_OK) return status;
    set->info.n_classes = n_classes;
    set->info.source = set->source;
    set->info.label_key = set->label_key;
    set->info.group_key = set->group_key;
    set->info.conversion = set->conversion;
    set->info.has_masks = set->masks != NULL;
    for (size_t i = 0; i < set->info.n_images; i++)
        set->info.has_split |= set->origins[i].part > MSFL_PART_TRAIN;
    count_sizes(set);
    measure(set);
    return MSFL_OK;
}
