/* Whether left and right mean something in a set's pictures, and so whether augmentation may mirror them. */
#include "base/error.h"
#include "dataset/store.h"
#include "medsecurefl/dataset.h"

#include <string.h>

static const char *const words[] = {"unsaid", "matters", "irrelevant", "unoriented"};

msfl_laterality msfl_laterality_of(const char *word) {
    for (int k = MSFL_LATERALITY_MATTERS; word != NULL && k <= MSFL_LATERALITY_UNORIENTED; k++) {
        if (strcmp(words[k], word) == 0) return (msfl_laterality)k;
    }
    return MSFL_LATERALITY_UNSAID;
}

const char *msfl_laterality_word(msfl_laterality laterality) {
    return words[(unsigned)laterality <= MSFL_LATERALITY_UNORIENTED ? laterality : MSFL_LATERALITY_UNSAID];
}

msfl_status msfl_dataset_laterality(const char *path, msfl_laterality *out) {
    json_t *manifest = NULL;
    *out = MSFL_LATERALITY_UNSAID;
    if (!msfl_store_is_set(path)) return MSFL_OK;
    msfl_status status = msfl_store_manifest(path, &manifest);
    if (status != MSFL_OK) return status;
    *out = msfl_laterality_of(json_string_value(json_object_get(manifest, "laterality")));
    /* A set of a recipe that does not say so. */
    if (*out == MSFL_LATERALITY_UNSAID) *out = MSFL_LATERALITY_MATTERS;
    json_decref(manifest);
    return MSFL_OK;
}

msfl_status msfl_augment_allowed(const msfl_augment *a, msfl_laterality laterality, const char *source) {
    const char *refused = NULL;
    if (laterality == MSFL_LATERALITY_MATTERS && (a->flip_horizontal || a->flip_vertical)) {
        refused = a->flip_horizontal ? "flip-horizontal" : "flip-vertical";
    } else if (laterality == MSFL_LATERALITY_IRRELEVANT && a->flip_vertical) {
        refused = "flip-vertical";
    }
    if (refused == NULL) return MSFL_OK;
    /* Short: as a refusal it is told to the coordinator, which takes 200 bytes. */
    return msfl_fail(
        MSFL_ERR_POLICY,
        "%s: their recipe says 'laterality: %s', and augmentation is to mirror them (%s): leave it out, or say "
        "'laterality: %s' in the recipe, if that is true, and import again",
        source, words[laterality], refused, strcmp(refused, "flip-vertical") == 0 ? "unoriented" : "irrelevant");
}
