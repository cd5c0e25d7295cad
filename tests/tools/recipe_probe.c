/* layer: recipe */
/* recipe_probe RECIPE.yaml OUT [-m MASK] FILE...: one sample through a recipe. Writes OUT.values (float32, channel by
 * channel), OUT.mask (float32), OUT.samples (as stored) and prints what there is. For tests/e2e/test_recipe.py. */
#include "image/decode.h"
#include "recipe/sample.h"

#include <stdio.h>
#include <string.h>

static int fail(msfl_status status) {
    fprintf(stderr, "%s: %s\n", msfl_status_name(status), msfl_error_message());
    return 1;
}

static void write_file(const char *out, const char *ending, const void *bytes, size_t length, const char *mode) {
    char path[4096];
    snprintf(path, sizeof path, "%s.%s", out, ending);
    FILE *f = fopen(path, mode);
    if (f == NULL) return;
    fwrite(bytes, 1, length, f);
    fclose(f);
}

static msfl_status add(const msfl_recipe *r, const char *path, bool is_mask, msfl_sample *s) {
    msfl_image_facts facts;
    msfl_image image = {0};
    msfl_status status = msfl_image_open(path, false, &facts, &image);
    if (status == MSFL_OK) {
        status = is_mask ? msfl_sample_add_mask(r, path, &image, s) : msfl_sample_add(r, path, &image, s);
    }
    msfl_image_clear(&image);
    return status;
}

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    msfl_recipe r;
    msfl_status status = msfl_recipe_read(argv[1], &r);
    if (status != MSFL_OK) return fail(status);
    msfl_buffer text = {0};
    msfl_recipe_text(&r, &text);
    char hash[2 * MSFL_HASH_BYTES + 1];
    msfl_hex(r.hash, sizeof r.hash, hash);
    msfl_recipe again;
    status = msfl_recipe_parse("canonical", (const char *)text.bytes, text.length, &again);
    if (status != MSFL_OK) return fail(status);
    if (memcmp(again.hash, r.hash, sizeof r.hash) != 0) return 3;
    write_file(argv[2], "yaml", text.bytes, text.length, "wb");
    msfl_buffer_clear(&text);
    if (argc == 3) {
        printf("{\"hash\": \"%s\"}\n", hash);
        return 0;
    }
    msfl_sample s = {0};
    const char *mask = NULL;
    for (int i = 3; i < argc && status == MSFL_OK; i++) {
        if (strcmp(argv[i], "-m") == 0) {
            mask = argv[++i];
        } else {
            status = add(&r, argv[i], false, &s);
        }
    }
    if (status == MSFL_OK && mask != NULL) status = add(&r, mask, true, &s);
    if (status == MSFL_OK) status = msfl_sample_run(&r, argv[3], &s);
    if (status != MSFL_OK) return fail(status);
    msfl_pictures p = {0};
    status = msfl_sample_store(&r, &s, &p);
    if (status != MSFL_OK) return fail(status);
    for (uint32_t k = 0; k < s.n_channels; k++)
        write_file(argv[2], "values", s.channels[k].values, msfl_volume_count(&s.channels[k]) * sizeof(float),
                   k == 0 ? "wb" : "ab");
    if (s.has_mask) write_file(argv[2], "mask", s.mask.values, msfl_volume_count(&s.mask) * sizeof(float), "wb");
    write_file(argv[2], "samples", p.samples, p.n * msfl_recipe_picture_bytes(&r), "wb");
    const msfl_volume *v = &s.channels[0];
    printf("{\"hash\": \"%s\", \"sides\": [%u, %u, %u], \"channels\": %u, \"each\": %u, \"bits\": %u, \"range\": "
           "[%.17g, %.17g], "
           "\"clipped\": %llu, \"spacing\": [%.17g, %.17g, %.17g]}\n",
           hash, v->sides[0], v->sides[1], v->sides[2], s.n_channels, 2 * r.neighbours + 1, r.bits, r.low, r.high,
           (unsigned long long)p.n_clipped, v->spacing[0], v->spacing[1], v->spacing[2]);
    msfl_pictures_clear(&p);
    msfl_sample_clear(&s);
    return 0;
}
