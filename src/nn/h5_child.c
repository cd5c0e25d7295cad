#include "nn/h5_child.h"

#include <hdf5.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Memory here is plain malloc and is never freed: the process ends right after. */

/* The process ends with its work, so what a helper allocates is not freed. NOLINTBEGIN(clang-analyzer-unix.Malloc) */

static void start_library(void) {
    if (H5dont_atexit() < 0 || H5open() < 0) _exit(1);
    (void)H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    (void)H5PLset_loading_state(0); /* no filter plugins from wherever they are looked for */
}

static hid_t must(hid_t id) {
    if (id < 0) _exit(2);
    return id;
}

/* --- writing --- */

static hid_t fixed_text(size_t longest) {
    hid_t type = must(H5Tcopy(H5T_C_S1));
    must(H5Tset_size(type, longest == 0 ? 1 : longest));
    must(H5Tset_strpad(type, H5T_STR_NULLPAD));
    must(H5Tset_cset(type, H5T_CSET_UTF8));
    return type;
}

static void write_texts(hid_t file, const nn_h5_node *node) {
    size_t longest = 1;
    for (size_t i = 0; i < node->n; i++) {
        if (strlen(node->texts[i]) > longest) longest = strlen(node->texts[i]);
    }
    hid_t type = fixed_text(longest);
    hsize_t n = node->n;
    hid_t space = must(node->kind == NN_H5_TEXT ? H5Screate(H5S_SCALAR) : H5Screate_simple(1, &n, NULL));
    hid_t object = must(H5Oopen(file, node->path, H5P_DEFAULT));
    hid_t attribute = must(H5Acreate2(object, node->name, type, space, H5P_DEFAULT, H5P_DEFAULT));
    char *padded = calloc(node->n + 1, longest);
    if (padded == NULL) _exit(3);
    for (size_t i = 0; i < node->n; i++)
        memcpy(padded + i * longest, node->texts[i], strlen(node->texts[i]));
    if (node->n > 0) must(H5Awrite(attribute, type, padded));
    must(H5Aclose(attribute));
    must(H5Oclose(object));
}

static void write_floats(hid_t file, const nn_h5_node *node, hid_t plist) {
    hsize_t dims[MSFL_TENSOR_RANK_MAX];
    for (uint32_t d = 0; d < node->rank; d++)
        dims[d] = node->shape[d];
    hid_t space = must(H5Screate_simple((int)node->rank, dims, NULL));
    hid_t set = must(H5Dcreate2(file, node->path, H5T_IEEE_F32LE, space, H5P_DEFAULT, plist, H5P_DEFAULT));
    must(H5Dwrite(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, node->values));
    must(H5Dclose(set));
}

void nn_h5_child_write(void *ctx, int out) {
    const nn_h5_write_job *job = ctx;
    start_library();
    hid_t access = must(H5Pcreate(H5P_FILE_ACCESS));
    must(H5Pset_fapl_core(access, 1 << 20, 0));
    /* Without times, the same model makes the same bytes. */
    hid_t for_groups = must(H5Pcreate(H5P_GROUP_CREATE)), for_sets = must(H5Pcreate(H5P_DATASET_CREATE));
    must(H5Pset_obj_track_times(for_groups, 0));
    must(H5Pset_obj_track_times(for_sets, 0));
    hid_t file = must(H5Fcreate("model.h5", H5F_ACC_TRUNC, H5P_DEFAULT, access));
    for (size_t i = 0; i < job->n; i++) {
        const nn_h5_node *node = &job->nodes[i];
        if (node->kind == NN_H5_GROUP) {
            must(H5Gclose(must(H5Gcreate2(file, node->path, H5P_DEFAULT, for_groups, H5P_DEFAULT))));
        } else if (node->kind == NN_H5_FLOATS) {
            write_floats(file, node, for_sets);
        } else {
            write_texts(file, node);
        }
    }
    must(H5Fflush(file, H5F_SCOPE_GLOBAL));
    ssize_t size = H5Fget_file_image(file, NULL, 0);
    if (size <= 0) _exit(4);
    void *image = malloc((size_t)size);
    if (image == NULL || H5Fget_file_image(file, image, (size_t)size) != size) _exit(4);
    uint64_t length = (uint64_t)size;
    msfl_child_write(out, &length, sizeof length);
    msfl_child_write(out, image, (size_t)size);
}

/* --- reading --- */

static void put32(int out, uint32_t v) {
    msfl_child_write(out, &v, sizeof v);
}

static void put_text(int out, const char *text, size_t length) {
    put32(out, (uint32_t)length);
    msfl_child_write(out, text, length);
}

typedef struct texts {
    size_t n, longest; /* longest: bytes per text, without a closing zero */
    char *bytes;       /* n x (longest + 1), each closed by a zero */
} texts;

/* A text attribute, of fixed or variable length. False when it is absent; the process ends when it is unreadable. */
static bool read_texts(hid_t object, const char *name, texts *t) {
    *t = (texts){0};
    if (H5Aexists(object, name) <= 0) return false;
    hid_t attribute = must(H5Aopen(object, name, H5P_DEFAULT));
    hid_t type = must(H5Aget_type(attribute)), space = must(H5Aget_space(attribute));
    hssize_t n = H5Sget_simple_extent_npoints(space);
    if (n < 0 || n > NN_H5_LAYERS_MAX) _exit(5);
    if (n == 0) return true; /* Keras writes an empty list as an array of no doubles */
    if (H5Tget_class(type) != H5T_STRING) _exit(5);
    t->n = (size_t)n;
    if (H5Tis_variable_str(type) > 0) {
        char **pointers = calloc(t->n, sizeof *pointers);
        hid_t memory = must(H5Tcopy(H5T_C_S1));
        must(H5Tset_size(memory, H5T_VARIABLE));
        must(H5Tset_cset(memory, H5Tget_cset(type)));
        if (pointers == NULL || H5Aread(attribute, memory, pointers) < 0) _exit(5);
        for (size_t i = 0; i < t->n; i++) {
            size_t length = pointers[i] == NULL ? 0 : strnlen(pointers[i], NN_H5_TEXT_MAX + 1);
            if (length > t->longest) t->longest = length;
        }
        if (t->n * (t->longest + 1) > 4 * NN_H5_TEXT_MAX) _exit(5);
        t->bytes = calloc(t->n, t->longest + 1);
        if (t->bytes == NULL) _exit(3);
        for (size_t i = 0; i < t->n; i++) {
            if (pointers[i] != NULL)
                memcpy(t->bytes + i * (t->longest + 1), pointers[i], strnlen(pointers[i], t->longest));
        }
        return true;
    }
    t->longest = H5Tget_size(type);
    if (t->longest == 0 || t->n * (t->longest + 1) > 4 * NN_H5_TEXT_MAX) _exit(5);
    hid_t memory = must(H5Tcopy(H5T_C_S1));
    must(H5Tset_size(memory, t->longest + 1)); /* one more than in the file: always closed by a zero */
    must(H5Tset_strpad(memory, H5T_STR_NULLTERM));
    must(H5Tset_cset(memory, H5Tget_cset(type)));
    t->bytes = calloc(t->n, t->longest + 1);
    if (t->bytes == NULL || H5Aread(attribute, memory, t->bytes) < 0) _exit(5);
    return true;
}

static const char *text_at(const texts *t, size_t i) {
    return t->bytes + i * (t->longest + 1);
}

static void send_texts(hid_t object, const char *name, int out) {
    texts t;
    bool present = read_texts(object, name, &t);
    put32(out, present);
    put32(out, (uint32_t)t.n);
    for (size_t i = 0; i < t.n; i++)
        put_text(out, text_at(&t, i), strnlen(text_at(&t, i), t.longest));
}

/* Links to other files lead nowhere. (The child may open none anyway; this says so to the library, too.) */
static herr_t refuse_link(const char *from_file, const char *from_group, const char *to_file, const char *to_object,
                          unsigned *flags, hid_t access, void *data) {
    (void)from_file, (void)from_group, (void)to_file, (void)to_object, (void)flags, (void)access, (void)data;
    return -1;
}

static hid_t access_without_links(hid_t class_id) {
    hid_t access = must(H5Pcreate(class_id));
    must(H5Pset_elink_cb(access, refuse_link, NULL));
    return access;
}

static hid_t open_group(hid_t parent, const char *name) {
    return must(H5Gopen2(parent, name, access_without_links(H5P_GROUP_ACCESS)));
}

typedef struct found {
    hid_t set;
    size_t count;
} found;

/* Tell of one data set, and keep it open for its values. */
static found send_weight(hid_t layer, const char *layer_name, const char *name, uint64_t values_max, int out) {
    found f = {.set = must(H5Dopen2(layer, name, access_without_links(H5P_DATASET_ACCESS))), .count = 1};
    hid_t type = must(H5Dget_type(f.set)), space = must(H5Dget_space(f.set));
    hsize_t dims[H5S_MAX_RANK];
    int rank = H5Sget_simple_extent_ndims(space);
    if (H5Tget_class(type) != H5T_FLOAT || rank < 1 || rank > MSFL_TENSOR_RANK_MAX) _exit(6);
    if (H5Sget_simple_extent_dims(space, dims, NULL) != rank) _exit(6);
    uint32_t shape[MSFL_TENSOR_RANK_MAX] = {0};
    for (int d = 0; d < rank; d++) {
        if (dims[d] == 0 || dims[d] > values_max / f.count) _exit(6);
        f.count *= (size_t)dims[d];
        shape[d] = (uint32_t)dims[d];
    }
    put_text(out, layer_name, strlen(layer_name));
    put_text(out, name, strlen(name));
    put32(out, (uint32_t)rank);
    msfl_child_write(out, shape, sizeof shape);
    return f;
}

/* First pass (`sets` NULL): how many weights there are. Second: tell of each, and open it. */
static size_t walk(hid_t root, uint64_t values_max, found *sets, int out) {
    texts layers;
    size_t n = 0;
    if (!read_texts(root, "layer_names", &layers)) _exit(7);
    for (size_t i = 0; i < layers.n; i++) {
        texts weights;
        hid_t layer = open_group(root, text_at(&layers, i));
        if (!read_texts(layer, "weight_names", &weights)) _exit(7);
        for (size_t k = 0; k < weights.n; k++, n++) {
            if (n == MSFL_MODEL_TENSORS_MAX) _exit(7);
            if (sets != NULL) sets[n] = send_weight(layer, text_at(&layers, i), text_at(&weights, k), values_max, out);
        }
    }
    return n;
}

void nn_h5_child_read(void *ctx, int out) {
    const nn_h5_read_job *job = ctx;
    start_library();
    hid_t access = must(H5Pcreate(H5P_FILE_ACCESS));
    must(H5Pset_fapl_core(access, 1 << 20, 0));
    must(H5Pset_file_image(access, (void *)(uintptr_t)job->bytes, job->length));
    hid_t file = must(H5Fopen("model.h5", H5F_ACC_RDONLY, access));
    hid_t root = open_group(file, "/");
    send_texts(root, "medsecurefl_model", out);
    send_texts(root, "model_config", out);
    send_texts(root, "class_names", out);
    send_texts(root, "normalise", out);
    send_texts(root, "medsecurefl_recipe", out);
    send_texts(root, "medsecurefl_recipe_name", out);
    /* model.save puts the weights in a group of their own, save_weights puts them in the root. */
    if (H5Lexists(root, "model_weights", H5P_DEFAULT) > 0) root = open_group(root, "model_weights");
    size_t n = walk(root, job->values_max, NULL, out);
    found *sets = calloc(n + 1, sizeof *sets);
    if (sets == NULL) _exit(3);
    put32(out, (uint32_t)n);
    (void)walk(root, job->values_max, sets, out);
    for (size_t i = 0; i < n; i++) {
        float *values = malloc((sets[i].count + 1) * sizeof *values);
        if (values == NULL || H5Dread(sets[i].set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0)
            _exit(8);
        msfl_child_write(out, values, sets[i].count * sizeof *values);
        free(values);
    }
}
/* NOLINTEND(clang-analyzer-unix.Malloc) */
