/* Folders of pictures: layouts, labels.csv, broken and strange files. */
#include "base/mem.h"
#include "medsecurefl/dataset.h"

#include "tree.h"

#include <cmocka.h>

static msfl_dataset *open_good(const char *path, const msfl_dataset_options *options) {
    msfl_dataset *set = NULL;
    msfl_status status = msfl_dataset_open(path, options, &set);
    if (status != MSFL_OK) print_error("%s\n", msfl_error_message());
    assert_int_equal(status, MSFL_OK);
    return set;
}

static void open_bad(const char *path, const msfl_dataset_options *options, msfl_status want, const char *words) {
    msfl_dataset *set = NULL;
    assert_int_equal(msfl_dataset_open(path, options, &set), want);
    assert_null(set);
    if (strstr(msfl_error_message(), words) == NULL) print_error("'%s' is not in: %s\n", words, msfl_error_message());
    assert_non_null(strstr(msfl_error_message(), words));
}

/* The image with this name, or n_images. */
static uint32_t find(const msfl_dataset *set, const char *name) {
    uint32_t n = msfl_dataset_info_borrow(set)->n_images;
    for (uint32_t i = 0; i < n; i++) {
        if (strcmp(msfl_dataset_image_name(set, i), name) == 0) return i;
    }
    return n;
}

static const char *class_of(const msfl_dataset *set, const char *name) {
    return msfl_dataset_class_name(set, msfl_dataset_label(set, find(set, name)));
}

static uint8_t first_sample(const msfl_dataset *set, const char *name) {
    const msfl_dataset_info *info = msfl_dataset_info_borrow(set);
    uint8_t *p = malloc((size_t)info->width * info->height * info->channels);
    msfl_dataset_preview(set, find(set, name), p);
    uint8_t v = p[0];
    free(p);
    return v;
}

/* As the COVID-19 Radiography Database is unpacked. A class may be called masks, and a class may have masks alone. */
static void masks_beside_images_are_no_pictures(void **state) {
    (void)state;
    put_png(at("set/COVID/images/1.png"), 20, 16, 10);
    put_png(at("set/COVID/masks/1.png"), 20, 16, 255);
    put_png(at("set/Normal/Images/2.png"), 20, 16, 20);
    put_png(at("set/Normal/Mask/2.png"), 20, 16, 255);
    put_png(at("set/other/masks/3.png"), 20, 16, 30);
    put_png(at("set/masks/4.png"), 20, 16, 40);
    msfl_dataset *set = open_good(at("set"), NULL);
    const msfl_dataset_info *info = msfl_dataset_info_borrow(set);
    assert_int_equal(info->n_images, 4);
    assert_int_equal(info->n_classes, 4);
    assert_int_equal(info->n_ignored, 2);
    assert_string_equal(class_of(set, "COVID/images/1.png"), "COVID");
    assert_string_equal(class_of(set, "masks/4.png"), "masks");
    msfl_dataset_free(set);
}

static void class_folders_of_mixed_files(void **state) {
    (void)state;
    put_png(at("set/beta/1.png"), 20, 16, 10);
    put_png(at("set/beta/2.PNG"), 20, 16, 20);
    put_png(at("set/beta/deep/er/3.png"), 20, 16, 30);
    put_png(at("set/beta/1/2/3/4/deepest.png"), 20, 16, 60);
    put_png(at("set/beta/1/2/3/4/5/too_deep.png"), 20, 16, 61);
    put_png16(at("set/Alpha/4.png"), 20, 16, 0x8080);
    put_png(at("set/Alpha/small.png"), 5, 4, 50);
    put_jpeg(at("set/Alpha/colour.jpeg"), 40, 32, 3);
    put_png(at("set/Alpha/really_png.jpg"), 20, 16, 70);
    put_text(at("set/Alpha/.hidden.png"), "x");
    put_text(at("set/Alpha/notes.txt"), "x");
    put_text(at("set/Alpha/.DS_Store"), "x");
    put_text(at("set/readme.md"), "x");
    mkdir(at("set/empty"), 0755);

    msfl_dataset *set = open_good(at("set"), NULL);
    const msfl_dataset_info *info = msfl_dataset_info_borrow(set);
    assert_string_equal(info->kind, "folder");
    assert_int_equal(info->n_images, 8);
    assert_int_equal(info->n_classes, 2);
    assert_string_equal(msfl_dataset_class_name(set, 0), "Alpha");
    assert_string_equal(msfl_dataset_class_name(set, 1), "beta");
    assert_int_equal(info->width, 20);
    assert_int_equal(info->height, 16);
    assert_int_equal(info->channels, 1);
    assert_int_equal(info->bits, 16);
    assert_int_equal(info->n_sizes, 3);
    assert_int_equal(info->n_skipped, 0);
    assert_int_equal(info->n_ignored, 5); /* two hidden, notes, readme, the folder that is too deep */
    assert_null(info->group_key);
    assert_int_equal(info->n_groups, 8);
    assert_false(info->has_split);
    assert_string_equal(class_of(set, "beta/deep/er/3.png"), "beta");
    assert_string_equal(class_of(set, "beta/1/2/3/4/deepest.png"), "beta");
    assert_string_equal(class_of(set, "Alpha/4.png"), "Alpha");
    msfl_origin o = msfl_dataset_origin(set, find(set, "Alpha/colour.jpeg"));
    assert_true(o.width == 40 && o.height == 32 && o.channels == 3 && o.bits == 8);
    assert_string_equal(o.format, "JPEG");
    float pixels[20 * 16];
    msfl_dataset_free(set);

    msfl_dataset_options plain = {.normalise = MSFL_NORMALISE_NONE};
    set = open_good(at("set"), &plain);
    assert_int_equal(msfl_dataset_pixels(set, find(set, "beta/1.png"), NULL, 0, pixels), MSFL_OK);
    assert_true(pixels[0] > 9.99f / 255 && pixels[0] < 10.01f / 255);
    assert_int_equal(msfl_dataset_pixels(set, find(set, "Alpha/4.png"), NULL, 0, pixels), MSFL_OK);
    assert_true(pixels[319] > 0.5019f && pixels[319] < 0.5020f);
    assert_int_equal(msfl_dataset_pixels(set, 8, NULL, 0, pixels), MSFL_ERR_USAGE);
    msfl_dataset_free(set);
}

static void split_folders_of_any_case(void **state) {
    (void)state;
    for (int i = 0; i < 12; i++) {
        put_png(at("set/TRAIN/Normal/%d.png", i), 8, 8, (uint8_t)i);
        put_png(at("set/TRAIN/sick/%d.png", i), 8, 8, (uint8_t)(100 + i));
    }
    for (int i = 0; i < 3; i++) {
        put_png(at("set/test/NORMAL/t%d.png", i), 8, 8, (uint8_t)(50 + i));
        put_png(at("set/test/sick/t%d.png", i), 8, 8, (uint8_t)(150 + i));
        put_png(at("set/Val/sick/v%d.png", i), 8, 8, 200);
    }
    put_png(at("set/__MACOSX/x/a.png"), 8, 8, 0);
    put_png(at("set/test/loose.png"), 8, 8, 0);
    msfl_dataset *set = open_good(at("set"), NULL);
    const msfl_dataset_info *info = msfl_dataset_info_borrow(set);
    assert_int_equal(info->n_images, 33);
    assert_int_equal(info->n_classes, 2);
    assert_int_equal(info->n_ignored, 2);
    assert_true(info->has_split);
    assert_string_equal(class_of(set, "test/NORMAL/t1.png"), "Normal");
    msfl_split s;
    assert_int_equal(msfl_dataset_split(set, 0.5, 0.2, 1, &s), MSFL_OK);
    assert_int_equal(s.test.n, 6);
    assert_int_equal(s.validation.n, 3);
    assert_int_equal(s.train.n, 24);
    assert_non_null(strstr(s.how, "as the source"));
    for (uint32_t i = 0; i < s.test.n; i++)
        assert_int_equal(msfl_dataset_origin(set, s.test.at[i]).part, MSFL_PART_TEST);
    msfl_split_clear(&s);
    msfl_dataset_free(set);
}

/* A patient on both sides of the source's split goes to the test part with all images. */
static void patients_on_both_sides(void **state) {
    (void)state;
    char csv[4000] = "file,patient\n";
    for (int i = 0; i < 20; i++) {
        put_png(at("set/train/%s/%d.png", i % 2 ? "a" : "b", i), 8, 8, (uint8_t)i);
        snprintf(csv + strlen(csv), 100, "train/%s/%d.png,p%d\n", i % 2 ? "a" : "b", i, i / 2);
    }
    put_png(at("set/test/a/t.png"), 8, 8, 1);
    snprintf(csv + strlen(csv), 100, "test/a/t.png,p3\n");
    put_text(at("set/labels.csv"), csv);
    msfl_dataset *set = open_good(at("set"), NULL);
    assert_string_equal(msfl_dataset_info_borrow(set)->group_key, "patient in labels.csv");
    assert_int_equal(msfl_dataset_info_borrow(set)->n_groups, 10);
    msfl_split s;
    assert_int_equal(msfl_dataset_split(set, 0.2, 0.2, 1, &s), MSFL_OK);
    assert_int_equal(s.test.n, 3);
    for (uint32_t i = 0; i < s.test.n; i++)
        assert_int_equal(msfl_dataset_group(set, s.test.at[i]), msfl_dataset_group(set, find(set, "test/a/t.png")));
    assert_non_null(strstr(s.how, "patients kept whole"));
    msfl_split_clear(&s);
    msfl_dataset_free(set);
}

static void broken_files_are_named(void **state) {
    (void)state;
    for (int i = 0; i < 5; i++) {
        put_png(at("set/a/%d.png", i), 8, 8, (uint8_t)i);
        put_png(at("set/b/%d.png", i), 8, 8, (uint8_t)(100 + i));
    }
    put_cut_png(at("set/a/cut.png"), 0);
    put_cut_png(at("set/b/header.png"), 20);
    put_text(at("set/b/empty.jpg"), "");
    put_text(at("set/b/text.png"), "hello");
    static const uint8_t huge[33] = "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\xea\x60\0\0\xea\x60\x08\0\0\0\0\0\0\0";
    put_file(at("set/b/huge.png"), huge, sizeof huge);
    assert_int_equal(mkfifo(at("set/b/fifo.png"), 0644), 0);
    assert_int_equal(symlink("nowhere.png", at("set/b/dangling.png")), 0);

    msfl_dataset *set = open_good(at("set"), NULL);
    const msfl_dataset_info *info = msfl_dataset_info_borrow(set);
    assert_int_equal(info->n_images, 10);
    assert_int_equal(info->n_skipped, 5);
    assert_int_equal(info->n_ignored, 2); /* the pipe and the link to nothing */
    char all[4000] = "";
    for (uint32_t i = 0; i < info->n_skipped; i++) {
        snprintf(all + strlen(all), 500, "%s\n", msfl_dataset_skipped(set, i));
    }
    assert_null(msfl_dataset_skipped(set, 5));
    static const char *const names[] = {"a/cut.png", "b/header.png", "b/empty.jpg", "b/text.png", "60000 x 60000"};
    for (int i = 0; i < 5; i++)
        assert_non_null(strstr(all, names[i]));
    /* The gaps are closed without mixing images up. */
    for (int i = 0; i < 5; i++) {
        char name[20];
        snprintf(name, sizeof name, "a/%d.png", i);
        assert_int_equal(first_sample(set, name), i);
        assert_string_equal(class_of(set, name), "a");
        name[0] = 'b';
        assert_int_equal(first_sample(set, name), 100 + i);
        assert_string_equal(class_of(set, name), "b");
    }
    msfl_dataset_free(set);
    msfl_dataset_options refuse = {.refuse_bad = true};
    open_bad(at("set"), &refuse, MSFL_ERR_FORMAT, "broken images are to be refused");
}

static void nothing_to_learn_from(void **state) {
    (void)state;
    mkdir(at("empty"), 0755);
    open_bad(at("empty"), NULL, MSFL_ERR_DATA, "no PNG, JPEG, DICOM or NIfTI");
    put_png(at("one/only/1.png"), 8, 8, 1);
    put_png(at("one/only/2.png"), 8, 8, 1);
    open_bad(at("one"), NULL, MSFL_ERR_DATA, "one class ('only'");
    put_cut_png(at("broken/a/1.png"), 0);
    put_cut_png(at("broken/b/1.png"), 0);
    open_bad(at("broken"), NULL, MSFL_ERR_DATA, "all 2 images are broken");
    put_png(at("flat/1.png"), 8, 8, 1);
    open_bad(at("flat"), NULL, MSFL_ERR_DATA, "labels.csv");
    open_bad(at("nowhere"), NULL, MSFL_ERR_MISSING, "phantom");
    open_bad("", NULL, MSFL_ERR_USAGE, "phantom");
    put_text(at("file.txt"), "hello");
    open_bad(at("file.txt"), NULL, MSFL_ERR_FORMAT, "neither a folder");
    mkfifo(at("pipe"), 0644);
    open_bad(at("pipe"), NULL, MSFL_ERR_FORMAT, "not a regular file");
    msfl_dataset_options bad = {.channels = 2};
    open_bad(at("one"), &bad, MSFL_ERR_USAGE, "2 channels");
    bad = (msfl_dataset_options){.width = 8};
    open_bad(at("one"), &bad, MSFL_ERR_USAGE, "together");
    bad = (msfl_dataset_options){.width = 20000, .height = 20000};
    open_bad(at("one"), &bad, MSFL_ERR_USAGE, "16384");
}

static void put_class_folders(const char *root, int n) {
    for (int i = 0; i < n; i++) {
        put_png(at("%s/a/%d.png", root, i), 8, 8, (uint8_t)i);
        put_png(at("%s/b/%d.png", root, i), 8, 8, (uint8_t)(100 + i));
    }
}

static void table_above_the_folder(void **state) {
    (void)state;
    put_class_folders("dev/png", 4);
    put_text(at("dev/labels.csv"), "index,Patient_Key,kind,path\r\n"
                                   "0,\"p,1\",x,png/a/0.png\r\n"
                                   "1,\"p,1\",y,png/b/0.png\r\n"
                                   "2,p2,x,png/a/1.png\r\n"
                                   "3,p2,y,png/a/2.png\r\n"
                                   "4,,x,./png/a/3.png\r\n"
                                   "5,NA,y,png/b/1.png\r\n"
                                   "6,p10,x,png/b/2.png\r\n"
                                   "7,p9,,png/b/3.png\r\n"
                                   "8,p9,y,png/b/not_there.png\r\n");
    msfl_dataset *set = open_good(at("dev/png"), NULL);
    const msfl_dataset_info *info = msfl_dataset_info_borrow(set);
    assert_string_equal(info->group_key, "Patient_Key in labels.csv");
    assert_string_equal(info->label_key, "folder names");
    assert_int_equal(info->n_groups, 6);
    assert_int_equal(msfl_dataset_group(set, find(set, "a/0.png")), msfl_dataset_group(set, find(set, "b/0.png")));
    assert_int_equal(msfl_dataset_group(set, find(set, "a/1.png")), msfl_dataset_group(set, find(set, "a/2.png")));
    assert_int_not_equal(msfl_dataset_group(set, find(set, "a/3.png")), msfl_dataset_group(set, find(set, "b/1.png")));
    assert_true(msfl_dataset_group(set, find(set, "b/3.png")) < msfl_dataset_group(set, find(set, "b/2.png")));
    msfl_dataset_free(set);
    /* The folder around it leads to the same images. */
    set = open_good(at("dev"), NULL);
    assert_int_equal(msfl_dataset_info_borrow(set)->n_images, 8);
    assert_int_equal(msfl_dataset_info_borrow(set)->n_groups, 6);
    msfl_dataset_free(set);
    msfl_dataset_options kind = {.label = "KIND"};
    set = open_good(at("dev/png"), &kind);
    info = msfl_dataset_info_borrow(set);
    assert_int_equal(info->n_images, 7);
    assert_int_equal(info->n_skipped, 1);
    assert_non_null(strstr(msfl_dataset_skipped(set, 0), "b/3.png"));
    assert_string_equal(msfl_dataset_class_name(set, 0), "x");
    assert_string_equal(class_of(set, "a/2.png"), "y");
    msfl_dataset_free(set);
    kind.label = "nothing";
    open_bad(at("dev/png"), &kind, MSFL_ERR_DATA, "Patient_Key, kind");
}

static void flat_folder_with_table(void **state) {
    (void)state;
    char csv[1000] = "png,class,score\n";
    for (int i = 0; i < 12; i++) {
        put_png(at("flat/%d.png", i), 8, 8, (uint8_t)i);
        snprintf(csv + strlen(csv), 50, "%d.png,%s,%d\n", i, i % 3 ? "No" : "yes", i % 3 == 0 ? 10 : 9);
    }
    put_text(at("flat/labels.csv"), csv);
    msfl_dataset *set = open_good(at("flat"), NULL);
    assert_string_equal(msfl_dataset_class_name(set, 0), "No");
    assert_string_equal(class_of(set, "3.png"), "yes");
    msfl_dataset_free(set);
    msfl_dataset_options o = {.label = "score"};
    set = open_good(at("flat"), &o);
    assert_string_equal(msfl_dataset_class_name(set, 0), "9"); /* by value, not by letter */
    assert_string_equal(class_of(set, "3.png"), "10");
    msfl_dataset_free(set);
}

static void tables_with_faults(void **state) {
    (void)state;
    put_class_folders("set", 3);
    put_text(at("set/labels.csv"), "file,patient\na/0.png,1,2\n");
    open_bad(at("set"), NULL, MSFL_ERR_FORMAT, "line 2, column 3");
    put_text(at("set/labels.csv"), "file,patient,kind\na/0.png,1,x\na/0.png,2,x\n");
    open_bad(at("set"), NULL, MSFL_ERR_DATA, "lines 2 and 3");
    put_text(at("set/labels.csv"), "file,patient,kind\na/0.png,1,x\na/0.png,1,y\nb/0.png,1,y\n");
    msfl_dataset *set = open_good(at("set"), NULL);
    msfl_dataset_free(set);
    msfl_dataset_options o = {.label = "kind"};
    open_bad(at("set"), &o, MSFL_ERR_DATA, "line 3");
    /* A table about something else is left alone. */
    put_text(at("set/labels.csv"), "file,patient\nq/0.png,1\n");
    set = open_good(at("set"), NULL);
    assert_null(msfl_dataset_info_borrow(set)->group_key);
    msfl_dataset_free(set);
    o.label = "patient";
    open_bad(at("set"), &o, MSFL_ERR_DATA, "cannot be matched");
    put_text(at("set/labels.csv"), "");
    open_bad(at("set"), NULL, MSFL_ERR_FORMAT, "empty table");
}

static void links_and_strange_names(void **state) {
    (void)state;
    put_class_folders("real", 3);
    mkdir(at("set"), 0755);
    assert_int_equal(symlink("../real/a", at("set/a")), 0);
    put_png(at("set/b/caf\xe9 \xff.png"), 8, 8, 7); /* not UTF-8 */
    put_png(at("set/b/line\nbreak.png"), 8, 8, 8);
    assert_int_equal(symlink("..", at("set/b/up")), 0);
    assert_int_equal(symlink(".", at("set/b/self")), 0);
    assert_int_equal(symlink("loop2", at("set/b/loop1")), 0);
    assert_int_equal(symlink("loop1", at("set/b/loop2")), 0);
    assert_int_equal(symlink("../../real/b/1.png", at("set/b/link.png")), 0);
    msfl_dataset *set = open_good(at("set"), NULL);
    const msfl_dataset_info *info = msfl_dataset_info_borrow(set);
    assert_int_equal(info->n_images, 6);
    assert_int_equal(first_sample(set, "b/caf\xe9 \xff.png"), 7);
    assert_int_equal(first_sample(set, "b/link.png"), 101);
    assert_int_equal(first_sample(set, "a/2.png"), 2);
    msfl_dataset_free(set);
}

static void unreadable_folders_and_files(void **state) {
    (void)state;
    put_class_folders("set", 3);
    chmod(tree_root, 0755);
    chmod(at("set/a/1.png"), 0);
    /* Root reads everything: be nobody for a while. */
    bool root = geteuid() == 0;
    if (root) assert_int_equal(seteuid(65534), 0);
    msfl_dataset *set = open_good(at("set"), NULL);
    if (root) assert_int_equal(seteuid(0), 0);
    assert_int_equal(msfl_dataset_info_borrow(set)->n_skipped, 1);
    msfl_dataset_free(set);
    chmod(at("set/a"), 0);
    if (root) assert_int_equal(seteuid(65534), 0);
    open_bad(at("set"), NULL, MSFL_ERR_IO, "set/a");
    if (root) assert_int_equal(seteuid(0), 0);
    chmod(at("set/a"), 0755);
}

typedef struct watcher {
    volatile int cancel;
    int inside, n_progress;
    uint64_t last, cancel_at;
} watcher;

static void watch(void *ctx, const msfl_event *event) {
    watcher *w = ctx;
    assert_int_equal(__sync_fetch_and_add(&w->inside, 1), 0);
    assert_string_equal(event->track, "data");
    if (event->kind == MSFL_EVENT_PROGRESS) {
        assert_true(event->done <= event->total);
        w->n_progress++;
        w->last = event->done;
        if (w->cancel_at > 0 && event->done >= w->cancel_at) w->cancel = 1;
    }
    usleep(200);
    assert_int_equal(__sync_fetch_and_sub(&w->inside, 1), 1);
}

static void watched_and_cancelled(void **state) {
    (void)state;
    put_class_folders("set", 30);
    watcher w = {0};
    msfl_observer observer = {watch, &w, &w.cancel};
    msfl_dataset_options o = {.observer = &observer, .n_threads = 4};
    msfl_dataset *set = open_good(at("set"), &o);
    msfl_dataset_free(set);
    assert_true(w.n_progress >= 2);
    assert_int_equal(w.last, 60);
    w.cancel = 1;
    open_bad(at("set"), &o, MSFL_ERR_CANCELLED, "stopped");
    w.cancel = 0;
    w.cancel_at = 1;
    open_bad(at("set"), &o, MSFL_ERR_CANCELLED, "stopped");
}

/* Whatever allocation fails, the answer is an error without a leak; threads do not change the result. */
static void every_allocation_may_fail(void **state) {
    (void)state;
    put_class_folders("set", 2);
    put_png16(at("set/a/deep.png"), 9, 9, 5);
    put_cut_png(at("set/a/cut.png"), 0);
    put_text(at("set/labels.csv"), "file,patient\na/0.png,1\nb/0.png,1\n");
    msfl_dataset_options o = {.n_threads = 1, .width = 6, .height = 6};
    msfl_dataset *set = NULL;
    msfl_status status = MSFL_ERR_MEMORY;
    long k = 1;
    for (; status != MSFL_OK; k++) {
        msfl_alloc_fail_at(k);
        status = msfl_dataset_open(at("set"), &o, &set);
        msfl_alloc_fail_at(0);
        assert_true(status == MSFL_OK || status == MSFL_ERR_MEMORY);
        assert_int_equal(status == MSFL_OK, set != NULL);
    }
    assert_true(k > 100);
    assert_int_equal(msfl_dataset_info_borrow(set)->n_images, 5);
    msfl_split s;
    msfl_indices all = {malloc(5 * sizeof(uint32_t)), 5}, lists[2];
    for (uint32_t i = 0; i < 5; i++)
        all.at[i] = i;
    for (status = MSFL_ERR_MEMORY, k = 1; status != MSFL_OK; k++) {
        msfl_alloc_fail_at(k);
        status = msfl_dataset_split(set, 0.2, 0.2, 1, &s);
        msfl_alloc_fail_at(0);
        assert_true(status == MSFL_OK || status == MSFL_ERR_MEMORY);
    }
    for (status = MSFL_ERR_MEMORY, k = 1; status != MSFL_OK; k++) {
        msfl_alloc_fail_at(k);
        status = msfl_dataset_partition(set, &all, "quantity:10", 2, 1, 1, lists);
        msfl_alloc_fail_at(0);
        assert_true(status == MSFL_OK || status == MSFL_ERR_MEMORY);
    }
    msfl_split_clear(&s);
    msfl_indices_clear(&lists[0]);
    msfl_indices_clear(&lists[1]);
    free(all.at);
    msfl_dataset_free(set);
}

static void one_picture(void **state) {
    (void)state;
    put_png(at("a.png"), 10, 10, 51);
    float pixels[25 * 3];
    uint8_t preview[25 * 3];
    assert_int_equal(msfl_image_load(at("a.png"), 5, 5, 3, MSFL_NORMALISE_NONE, pixels, preview), MSFL_OK);
    assert_true(pixels[74] > 0.1999f && pixels[74] < 0.2001f);
    assert_int_equal(preview[74], 51);
    assert_int_equal(msfl_image_load(at("a.png"), 5, 5, 1, MSFL_NORMALISE_IMAGE, pixels, NULL), MSFL_OK);
    assert_true(pixels[0] == 0);
    assert_int_equal(msfl_image_load(at("a.png"), 5, 5, 1, MSFL_NORMALISE_SET, pixels, NULL), MSFL_ERR_UNSUPPORTED);
    assert_int_equal(msfl_image_load(at("a.png"), 0, 5, 1, MSFL_NORMALISE_NONE, pixels, NULL), MSFL_ERR_USAGE);
    assert_int_equal(msfl_image_load(at("b.png"), 5, 5, 1, MSFL_NORMALISE_NONE, pixels, NULL), MSFL_ERR_MISSING);
}

#define TREE_TEST(name) cmocka_unit_test_setup_teardown(name, tree_setup, tree_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TREE_TEST(class_folders_of_mixed_files), TREE_TEST(masks_beside_images_are_no_pictures),
        TREE_TEST(split_folders_of_any_case),    TREE_TEST(patients_on_both_sides),
        TREE_TEST(broken_files_are_named),       TREE_TEST(nothing_to_learn_from),
        TREE_TEST(table_above_the_folder),       TREE_TEST(flat_folder_with_table),
        TREE_TEST(tables_with_faults),           TREE_TEST(links_and_strange_names),
        TREE_TEST(unreadable_folders_and_files), TREE_TEST(watched_and_cancelled),
        TREE_TEST(every_allocation_may_fail),    TREE_TEST(one_picture),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
