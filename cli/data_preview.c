/* medsecurefl data augment-preview: what training will see. */
#include "base/bytes.h"
#include "base/error.h"
#include "base/mem.h"
#include "cmd_data.h"
#include "medsecurefl/report.h"

#include <stdio.h>
#include <string.h>

/* Everything for one sheet. */
typedef struct sheet {
    const msfl_dataset *set;
    const msfl_dataset_info *info;
    msfl_augment augment;
    uint32_t factor;
    float *pixels;
    uint32_t *classes;
    uint8_t *bytes, *mask; /* one version, before it is painted */
} sheet;

/* As training gets it (`seed` 0: as it is), masks as outlines. */
static msfl_status paint(const sheet *s, uint32_t image, uint64_t seed, uint8_t *rgb) {
    const msfl_dataset_info *info = s->info;
    const msfl_augment *augment = seed == 0 ? NULL : &s->augment;
    size_t slice = (size_t)info->width * info->height, n = info->depth * slice;
    msfl_status status = info->has_masks
                             ? msfl_dataset_pixels_mask(s->set, image, NULL, augment, seed, s->pixels, s->classes)
                             : msfl_dataset_pixels(s->set, image, augment, seed, s->pixels);
    if (status != MSFL_OK) return status;
    /* Without normalisation values go from 0 to 1, but for those of a recipe, which has a range of its own. */
    float low = 0, high = 1;
    for (size_t i = 0; info->recipe != NULL && i < n * info->channels; i++) {
        if (i == 0 || s->pixels[i] < low) low = s->pixels[i];
        if (i == 0 || s->pixels[i] > high) high = s->pixels[i];
    }
    float scale = high > low ? 255 / (high - low) : 0;
    for (size_t i = 0; i < n * info->channels; i++) {
        float v = scale * (s->pixels[i] - low) + 0.5f;
        s->bytes[i] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
    }
    for (size_t i = 0; info->has_masks && i < n; i++)
        s->mask[i] = (uint8_t)s->classes[i];
    uint8_t *middle = s->bytes + info->depth / 2 * slice * info->channels; /* of a volume the middle slice is shown */
    const uint8_t *outline = info->has_masks ? s->mask + info->depth / 2 * slice : NULL;
    uint32_t channels = msfl_dataset_shown(info, middle);
    msfl_overlay_paint(middle, info->height, info->width, channels, &(msfl_overlay){.outline = outline}, s->factor,
                       rgb);
    return MSFL_OK;
}

/* "pneumonia, image 656, train": the class, and the part where the source has parts of its own. */
static void name_original(const msfl_dataset *set, uint32_t image, char *text, size_t size) {
    static const char *const parts[] = {[MSFL_PART_NONE] = "",
                                        [MSFL_PART_TRAIN] = ", train",
                                        [MSFL_PART_VALIDATION] = ", val",
                                        [MSFL_PART_TEST] = ", test"};
    const char *name = msfl_dataset_class_name(set, msfl_dataset_label(set, image));
    const bool is_number = name[strspn(name, "0123456789")] == 0,
               is_one = msfl_dataset_info_borrow(set)->n_classes == 1;
    snprintf(text, size, "%s%.24s%simage %u%s", is_number && !is_one ? "class " : "", is_one ? "" : name,
             is_one ? "" : ", ", image, parts[msfl_dataset_origin(set, image).part]);
}

static void put_range(msfl_buffer *out, const char *what, const char *sign, double v, const char *unit) {
    if (v > 0) msfl_put_text(out, "%s%s %s%.3g%s", out->length > 0 ? ", " : "", what, sign, v, unit);
}

/* What augmentation may do, in figures; what a word like "default" stands for is nowhere else to be seen. */
static void describe(const msfl_augment *a, msfl_buffer *out) {
    put_range(out, "rotation", "±", a->rotate_degrees, "°");
    put_range(out, "shear", "±", a->shear_degrees, "°");
    put_range(out, "shift", "±", 100 * a->shift, " %");
    put_range(out, "zoom", "±", 100 * a->zoom, " %");
    put_range(out, "elastic", "±", 100 * a->elastic, " %");
    put_range(out, "gain", "±", 100 * a->gain, " %");
    put_range(out, "offset", "±", 100 * a->offset, " %");
    put_range(out, "gamma", "up to 1 + ", a->gamma, "");
    put_range(out, "noise", "up to ", 100 * a->noise, " %");
    put_range(out, "blur", "up to ", a->blur, " pixels");
    put_range(out, "cutout", "", 100 * a->cutout, " % of the sides");
    if (a->flip_horizontal) msfl_put_text(out, "%smirrored left and right", out->length > 0 ? ", " : "");
    if (a->flip_vertical) msfl_put_text(out, "%smirrored upside down", out->length > 0 ? ", " : "");
    if (out->length == 0) msfl_put_text(out, "nothing");
    msfl_put8(out, 0);
}

static msfl_status paint_all(const sheet *s, const cli_data_preview_options *o, uint32_t n_images, size_t bytes,
                             uint8_t *rgb, msfl_report_picture *pictures, char (*names)[64]) {
    uint32_t columns = o->n_versions + 1, k = 0;
    msfl_status status = MSFL_OK;
    for (uint32_t i = 0; i < n_images && status == MSFL_OK; i++) {
        /* From all over the data, so that no class is missed that comes late; not in even steps, which would meet the
         * same slice of every volume. */
        uint64_t first = (uint64_t)i * s->info->n_images / n_images;
        uint64_t end = (uint64_t)(i + 1) * s->info->n_images / n_images;
        uint32_t image = (uint32_t)(first + (o->seed * 2654435761u + i * 40503u) % (end - first));
        for (uint32_t v = 0; v < columns && status == MSFL_OK; v++, k++) {
            uint64_t seed = v == 0 ? 0 : (o->seed * 1000003 + image) * 64 + v;
            status = paint(s, image, seed, rgb + k * bytes);
            if (v == 0) {
                name_original(s->set, image, names[k], sizeof names[k]);
            } else {
                snprintf(names[k], sizeof names[k], "version %u", v);
            }
            pictures[k] = (msfl_report_picture){.pixels = rgb + k * bytes,
                                                .width = s->info->width * s->factor,
                                                .height = s->info->height * s->factor,
                                                .channels = 3,
                                                .name = names[k]};
        }
    }
    return status;
}

msfl_status cli_data_preview(const msfl_dataset *set, const cli_data_preview_options *o) {
    sheet s = {.set = set, .info = msfl_dataset_info_borrow(set)};
    const msfl_dataset_info *info = s.info;
    msfl_status status = msfl_augment_parse(o->augment, &s.augment);
    if (status == MSFL_OK) status = msfl_augment_allowed(&s.augment, info->laterality, info->source);
    if (status != MSFL_OK) return status;
    uint32_t side = info->width > info->height ? info->width : info->height;
    s.factor = side < 128 ? 128 / side : 1;
    uint32_t n_images = o->n_images < info->n_images ? o->n_images : info->n_images;
    uint32_t n = n_images * (o->n_versions + 1);
    size_t size = (size_t)info->width * info->height, bytes = 3 * size * s.factor * s.factor;
    msfl_buffer what = {0};
    char note[900];
    describe(&s.augment, &what);
    if (what.status != MSFL_OK) {
        msfl_buffer_clear(&what);
        return MSFL_NO_MEMORY;
    }
    snprintf(
        note, sizeof note,
        "Each row begins with an image as it is; beside it stands what training may see of it. '%.200s' is: %.500s.",
        o->augment, (const char *)what.bytes);
    msfl_buffer_clear(&what);
    const size_t all = size * info->depth;
    s.pixels = msfl_alloc(all * info->channels, sizeof *s.pixels);
    s.bytes = msfl_alloc(all * info->channels, 1);
    s.classes = msfl_alloc(all, sizeof *s.classes);
    s.mask = msfl_alloc(all, 1);
    uint8_t *rgb = msfl_alloc(n, bytes);
    msfl_report_picture *pictures = msfl_alloc(n, sizeof *pictures);
    char(*names)[64] = msfl_alloc(n, sizeof *names);
    status = MSFL_ERR_MEMORY;
    if (s.pixels != NULL && s.bytes != NULL && s.classes != NULL && s.mask != NULL && rgb != NULL && pictures != NULL &&
        names != NULL) {
        status = paint_all(&s, o, n_images, bytes, rgb, pictures, names);
    }
    if (status == MSFL_OK) status = msfl_sheet_write(o->out, "Augmentation", note, pictures, n, o->n_versions + 1);
    if (status == MSFL_OK) printf("%u images in %u versions: %s\n", n_images, o->n_versions, o->out);
    msfl_free(s.pixels);
    msfl_free(s.bytes);
    msfl_free(s.classes);
    msfl_free(s.mask);
    msfl_free(rgb);
    msfl_free(pictures);
    msfl_free(names);
    return status;
}
