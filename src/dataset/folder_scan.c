#include "dataset/folder_scan.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/observe.h"
#include "dataset/set.h"
#include "image/decode.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

/* The deepest path searched: data folder, split, class and the folders inside it; two more for what stands around. */
enum { ENTRIES_MAX = 4 * MSFL_IMAGES_MAX, CHAIN_MAX = MSFL_SCAN_DEPTH_MAX + 4 };

typedef struct listing {
    msfl_texts names; /* of folders and pictures, as the folder lists them */
    msfl_rows kinds;  /* uint8_t: ENTRY_... */
    uint32_t *order;  /* of names by their bytes */
    size_t n, n_folders, n_pictures;
} listing;

enum { ENTRY_PICTURE, ENTRY_FOLDER };

typedef struct scanner {
    const msfl_observer *observer;
    msfl_scan *out;
    bool for_table; /* classes come from elsewhere: no picture is at a wrong place */
    struct {
        dev_t device;
        ino_t inode;
    } chain[CHAIN_MAX]; /* the folders being searched, outermost first */
    size_t n_chain;
} scanner;

void msfl_scan_clear(msfl_scan *scan) {
    msfl_free(scan->root);
    msfl_texts_clear(&scan->paths);
    msfl_texts_clear(&scan->classes);
    msfl_free(scan->parts);
    *scan = (msfl_scan){0};
}

static const char *name_of(const listing *l, size_t i) {
    return msfl_texts_get(&l->names, l->order[i]);
}

static bool is_folder(const listing *l, size_t i) {
    return *(const uint8_t *)msfl_rows_at(&l->kinds, l->order[i], 1) == ENTRY_FOLDER;
}

static void listing_clear(listing *l) {
    msfl_texts_clear(&l->names);
    msfl_rows_clear(&l->kinds);
    msfl_free(l->order);
    *l = (listing){0};
}

typedef struct lister {
    const char *folder;
    listing *out;
    uint32_t *n_ignored;
} lister;

static msfl_status list_entry(void *ctx, const char *name) {
    const lister *r = ctx;
    struct stat info;
    bool folder = false, picture = false;
    char *path = msfl_path_join(r->folder, name);
    if (path == NULL) return MSFL_NO_MEMORY;
    if (name[0] != '.' && stat(path, &info) == 0) {
        folder = S_ISDIR(info.st_mode);
        picture = S_ISREG(info.st_mode) && (msfl_image_has_picture_name(name) || msfl_image_is_dicom_file(path));
    }
    msfl_free(path);
    if (!folder && !picture) {
        ++*r->n_ignored;
        return MSFL_OK;
    }
    uint8_t *kind = msfl_rows_add(&r->out->kinds, 1);
    if (kind == NULL) return MSFL_NO_MEMORY;
    *kind = folder ? ENTRY_FOLDER : ENTRY_PICTURE;
    r->out->n_folders += folder;
    r->out->n_pictures += picture;
    return msfl_texts_add(&r->out->names, name, strlen(name));
}

static int by_name(const void *a, const void *b, void *names) {
    return strcmp(msfl_texts_get(names, *(const uint32_t *)a), msfl_texts_get(names, *(const uint32_t *)b));
}

/* Hidden entries and what is neither folder nor picture are counted here and not listed. */
static msfl_status list(const char *folder, listing *out, uint32_t *n_ignored) {
    listing l = {0};
    lister r = {folder, &l, n_ignored};
    msfl_status status = msfl_folder_each(folder, ENTRIES_MAX, list_entry, &r);
    l.n = l.names.n;
    if (status == MSFL_OK) l.order = msfl_alloc(l.n, sizeof *l.order);
    if (status == MSFL_OK && l.order == NULL) status = MSFL_NO_MEMORY;
    if (status != MSFL_OK) {
        listing_clear(&l);
        return status;
    }
    for (size_t i = 0; i < l.n; i++)
        l.order[i] = (uint32_t)i;
    qsort_r(l.order, l.n, sizeof *l.order, by_name, &l.names);
    *out = l;
    return MSFL_OK;
}

static msfl_part part_of(const char *name) {
    static const struct {
        const char *name;
        msfl_part part;
    } names[] = {{"train", MSFL_PART_TRAIN},         {"training", MSFL_PART_TRAIN},
                 {"val", MSFL_PART_VALIDATION},      {"valid", MSFL_PART_VALIDATION},
                 {"validate", MSFL_PART_VALIDATION}, {"validation", MSFL_PART_VALIDATION},
                 {"test", MSFL_PART_TEST},           {"testing", MSFL_PART_TEST}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcasecmp(name, names[i].name) == 0) return names[i].part;
    }
    return MSFL_PART_NONE;
}

/* Step into a folder; false, with a warning, when it is already being searched (a link leads back up). */
static msfl_status enter(scanner *s, const char *path, bool *entered) {
    struct stat info;
    *entered = false;
    if (stat(path, &info) != 0) return msfl_fail_errno(errno, "cannot examine %s", path);
    for (size_t i = 0; i < s->n_chain; i++) {
        if (s->chain[i].device == info.st_dev && s->chain[i].inode == info.st_ino) {
            msfl_observe_text(s->observer, MSFL_EVENT_WARNING, "data", "left out: %s leads back into itself", path);
            s->out->n_ignored++;
            return MSFL_OK;
        }
    }
    if (s->n_chain == CHAIN_MAX) return msfl_fail(MSFL_ERR_LIMIT, "%s lies too deep", path);
    s->chain[s->n_chain].device = info.st_dev;
    s->chain[s->n_chain].inode = info.st_ino;
    s->n_chain++;
    *entered = true;
    return MSFL_OK;
}

/* `below` is the folder's path below the root, "" for the root itself. */
static msfl_status add_picture(scanner *s, const char *below, const char *name, const char *class_name,
                               msfl_part part) {
    msfl_scan *out = s->out;
    if (out->paths.n == MSFL_IMAGES_MAX) {
        return msfl_fail(MSFL_ERR_LIMIT, "%s: more than %d pictures", out->root, MSFL_IMAGES_MAX);
    }
    char *path = below[0] == 0 ? msfl_strdup(name) : msfl_path_join(below, name);
    if (path == NULL) return MSFL_ERR_MEMORY;
    void *array = out->parts;
    msfl_status status = msfl_grow(&array, &out->parts_capacity, out->paths.n + 1, sizeof *out->parts);
    out->parts = array;
    if (status == MSFL_OK) {
        out->parts[out->paths.n] = (uint8_t)part;
        status = msfl_texts_add(&out->classes, class_name, strlen(class_name));
    }
    if (status == MSFL_OK) status = msfl_texts_add(&out->paths, path, strlen(path));
    msfl_free(path);
    return status;
}

/* "masks" beside "images" inside a class folder: published sets have them so, and they are no pictures of the class. */
static bool is_mask_folder(const listing *l, size_t i) {
    if (strcasecmp(name_of(l, i), "masks") != 0 && strcasecmp(name_of(l, i), "mask") != 0) return false;
    for (size_t k = 0; k < l->n; k++) {
        if (is_folder(l, k) && strcasecmp(name_of(l, k), "images") == 0) return true;
    }
    return false;
}

static msfl_status collect(scanner *s, const char *below, const char *class_name, msfl_part part, int depth) {
    char *path = msfl_path_join(s->out->root, below);
    listing l = {0};
    bool entered = false;
    msfl_status status = path == NULL ? MSFL_ERR_MEMORY : enter(s, path, &entered);
    if (status != MSFL_OK || !entered) goto done;
    status = msfl_check_cancel(s->observer);
    if (status == MSFL_OK) status = list(path, &l, &s->out->n_ignored);
    for (size_t i = 0; i < l.n && status == MSFL_OK; i++) {
        if (!is_folder(&l, i)) status = add_picture(s, below, name_of(&l, i), class_name, part);
        if (!is_folder(&l, i)) continue;
        if (is_mask_folder(&l, i)) {
            msfl_observe_text(s->observer, MSFL_EVENT_WARNING, "data", "left out: %s/%s, masks beside images", path,
                              name_of(&l, i));
            s->out->n_ignored++;
            continue;
        }
        if (depth == MSFL_SCAN_DEPTH_MAX) {
            msfl_observe_text(s->observer, MSFL_EVENT_WARNING, "data", "left out: %s/%s lies more than %d folders deep",
                              path, name_of(&l, i), MSFL_SCAN_DEPTH_MAX);
            s->out->n_ignored++;
            continue;
        }
        char *inner = msfl_path_join(below, name_of(&l, i));
        status = inner == NULL ? MSFL_ERR_MEMORY : collect(s, inner, class_name, part, depth + 1);
        msfl_free(inner);
    }
    s->n_chain--;
done:
    listing_clear(&l);
    msfl_free(path);
    return status;
}

static void leave_out(scanner *s, const char *folder, const char *what, size_t n) {
    if (n == 0) return;
    s->out->n_ignored += (uint32_t)n;
    msfl_observe_text(s->observer, MSFL_EVENT_WARNING, "data", "left out: %zu %s in %s", n, what, folder);
}

/* Class folders inside `below`, which is "" for the root or a folder of the split. */
static msfl_status collect_classes(scanner *s, const char *below, const listing *l, msfl_part part) {
    msfl_status status = MSFL_OK;
    for (size_t i = 0; i < l->n && status == MSFL_OK; i++) {
        if (!is_folder(l, i)) continue;
        char *inner = below[0] == 0 ? msfl_strdup(name_of(l, i)) : msfl_path_join(below, name_of(l, i));
        size_t before = s->out->paths.n;
        status = inner == NULL ? MSFL_ERR_MEMORY : collect(s, inner, name_of(l, i), part, 0);
        if (status == MSFL_OK && s->out->paths.n == before && !s->for_table) {
            msfl_observe_text(s->observer, MSFL_EVENT_WARNING, "data", "the folder %s/%s holds no pictures",
                              s->out->root, inner);
        }
        msfl_free(inner);
    }
    return status;
}

static msfl_status collect_split(scanner *s, const listing *root) {
    msfl_status status = MSFL_OK;
    leave_out(s, s->out->root, "pictures beside the folders of the split", root->n_pictures);
    for (size_t i = 0; i < root->n && status == MSFL_OK; i++) {
        if (!is_folder(root, i)) continue;
        msfl_part part = part_of(name_of(root, i));
        if (part == MSFL_PART_NONE) {
            msfl_observe_text(s->observer, MSFL_EVENT_WARNING, "data",
                              "left out: the folder %s/%s, beside folders named like train and test", s->out->root,
                              name_of(root, i));
            s->out->n_ignored++;
            continue;
        }
        listing l = {0};
        char *path = msfl_path_join(s->out->root, name_of(root, i));
        status = path == NULL ? MSFL_ERR_MEMORY : list(path, &l, &s->out->n_ignored);
        if (status == MSFL_OK) {
            leave_out(s, path, "pictures outside class folders", l.n_pictures);
            status = collect_classes(s, name_of(root, i), &l, part);
        }
        listing_clear(&l);
        msfl_free(path);
    }
    return status;
}

static msfl_status collect_flat(scanner *s, const listing *l) {
    msfl_status status = MSFL_OK;
    s->out->flat = s->out->paths.n == 0;
    for (size_t i = 0; i < l->n && status == MSFL_OK; i++) {
        if (!is_folder(l, i)) status = add_picture(s, "", name_of(l, i), "", MSFL_PART_NONE);
    }
    return status;
}

/* Whether a folder has folders named like train or test, with folders inside. */
static msfl_status holds_split(const char *folder, const listing *l, bool *split) {
    *split = false;
    for (size_t i = 0; i < l->n && !*split; i++) {
        if (!is_folder(l, i) || part_of(name_of(l, i)) == MSFL_PART_NONE) continue;
        listing inner = {0};
        uint32_t ignored = 0;
        char *path = msfl_path_join(folder, name_of(l, i));
        msfl_status status = path == NULL ? MSFL_ERR_MEMORY : list(path, &inner, &ignored);
        msfl_free(path);
        if (status != MSFL_OK) return status;
        *split = inner.n_folders > 0;
        listing_clear(&inner);
    }
    return MSFL_OK;
}

/* Whether the only folder inside `folder` is the data folder; then its path. */
static msfl_status find_inner(const char *folder, const listing *l, char **inner) {
    *inner = NULL;
    if (l->n_folders != 1 || l->n_pictures > 0) return MSFL_OK;
    size_t only = 0;
    while (!is_folder(l, only))
        only++;
    char *table = msfl_path_join(folder, "labels.csv");
    char *path = msfl_path_join(folder, name_of(l, only));
    listing below = {0};
    msfl_status status = MSFL_ERR_MEMORY;
    if (table == NULL || path == NULL) goto done;
    status = MSFL_OK;
    bool take = msfl_file_exists(table);
    if (!take) {
        uint32_t ignored = 0;
        status = list(path, &below, &ignored);
        if (status == MSFL_OK) status = holds_split(path, &below, &take);
    }
    if (status == MSFL_OK && take) {
        *inner = path;
        path = NULL;
    }
done:
    listing_clear(&below);
    msfl_free(table);
    msfl_free(path);
    return status;
}

static msfl_status scan_folder(const char *folder, const msfl_observer *observer, bool for_table, msfl_scan *out) {
    *out = (msfl_scan){.root = msfl_strdup(folder)};
    if (out->root == NULL) return MSFL_ERR_MEMORY;
    scanner s = {.observer = observer, .out = out, .for_table = for_table};
    listing l = {0};
    bool split = false, entered = false;
    msfl_status status = list(out->root, &l, &out->n_ignored);
    if (status == MSFL_OK) status = holds_split(out->root, &l, &split);
    if (status == MSFL_OK && !split) {
        char *inner;
        status = find_inner(out->root, &l, &inner);
        if (status == MSFL_OK && inner != NULL) {
            msfl_observe_text(observer, MSFL_EVENT_INFO, "data", "the images are taken from %s", inner);
            msfl_free(out->root);
            out->root = inner;
            listing_clear(&l);
            status = list(out->root, &l, &out->n_ignored);
            if (status == MSFL_OK) status = holds_split(out->root, &l, &split);
        }
    }
    if (status == MSFL_OK) status = enter(&s, out->root, &entered);
    if (status == MSFL_OK) {
        if (split) {
            status = collect_split(&s, &l);
        } else if (l.n_folders > 0) {
            status = collect_classes(&s, "", &l, MSFL_PART_NONE);
            /* Folders without pictures, of notes say, are no classes. */
            if (status == MSFL_OK && (out->paths.n == 0 || for_table)) {
                status = collect_flat(&s, &l);
            } else {
                leave_out(&s, out->root, "pictures outside class folders", l.n_pictures);
            }
        } else {
            status = collect_flat(&s, &l);
        }
    }
    listing_clear(&l);
    if (status != MSFL_OK) msfl_scan_clear(out);
    return status;
}

msfl_status msfl_scan_folder(const char *folder, const msfl_observer *observer, msfl_scan *out) {
    return scan_folder(folder, observer, false, out);
}

msfl_status msfl_scan_for_table(const char *folder, const msfl_observer *observer, msfl_scan *out) {
    return scan_folder(folder, observer, true, out);
}

bool msfl_scan_has_one_class(const msfl_scan *scan) {
    for (size_t i = 1; i < scan->classes.n; i++)
        if (strcasecmp(msfl_texts_get(&scan->classes, 0), msfl_texts_get(&scan->classes, i)) != 0) return false;
    return true;
}

static bool is_archive(const char *name) {
    size_t length = strlen(name);
    return length > 4 && name[0] != '.' && strcasecmp(name + length - 4, ".npz") == 0;
}

msfl_status msfl_scan_fail_empty(const msfl_scan *scan, const char *source) {
    char **names = NULL;
    size_t n = 0, archive = 0;
    if (msfl_folder_list(scan->root, ENTRIES_MAX, &names, &n) != MSFL_OK) n = 0;
    while (archive < n && !is_archive(names[archive]))
        archive++;
    msfl_status status;
    if (archive < n) {
        status = msfl_fail(MSFL_ERR_DATA,
                           "%s: no PNG, JPEG, DICOM or NIfTI files, but arrays: name the file itself, %s/%.200s",
                           source, scan->root, names[archive]);
    } else if (n == 0) {
        status = msfl_fail(MSFL_ERR_DATA,
                           "%s: no PNG, JPEG, DICOM or NIfTI files; nothing at all lies there. If it was to become an "
                           "imported set, the import was stopped: the same import again goes on",
                           source);
    } else {
        status = msfl_fail(MSFL_ERR_DATA,
                           "%s: no PNG, JPEG, DICOM or NIfTI files (%u other files); expected is a folder for each "
                           "class, optionally inside folders Train and Test",
                           source, scan->n_ignored);
    }
    msfl_names_free(names, n);
    return status;
}

/* The class of the first picture whose class folder has one of these names; NULL: none. */
static const char *class_called(const msfl_scan *scan, const char *const *names) {
    for (size_t i = 0; i < scan->classes.n; i++) {
        const char *class_name = msfl_texts_get(&scan->classes, i);
        for (size_t k = 0; names[k] != NULL; k++) {
            if (strcasecmp(class_name, names[k]) == 0) return class_name;
        }
    }
    return NULL;
}

void msfl_scan_warn_of_masks(const msfl_scan *scan, const msfl_observer *observer) {
    static const char *const images[] = {"images", "image", "imgs", "imagesTr", "imagesTs", NULL};
    static const char *const masks[] = {"masks",    "mask",         "labels",        "label", "labelsTr",
                                        "labelsTs", "segmentation", "segmentations", "seg",   "annotations",
                                        NULL};
    const char *image = class_called(scan, images), *mask = class_called(scan, masks);
    if (image == NULL || mask == NULL) return;
    msfl_observe_text(observer, MSFL_EVENT_WARNING, "data",
                      "'%s' and '%s' are taken for two classes; if one holds masks of the other: --data %s/%s "
                      "--masks %s/%s, with a recipe",
                      image, mask, scan->root, image, scan->root, mask);
}
