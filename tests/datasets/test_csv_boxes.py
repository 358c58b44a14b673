import numpy as np
import pytest

from sppdet.datasets import read_dataset, splits
from sppdet.errors import SppdetError

BOX = [10, 20, 40, 60]
BODY = "{0}a.jpg,100,80,cat,10,20,40,60\n{0}a.jpg,100,80,big dog,0,0,100,80\n{0}b.jpg,100,80,,,,,\n"

TABLES = [
    "filename,width,height,class,xmin,ymin,xmax,ymax\n" + BODY.format(""),
    "\ufefffilename;width;height;class;xmin;ymin;xmax;ymax\r\n"
    + BODY.format("").replace(",", ";").replace("\n", "\r\n"),
    "FileName\tWidth\tHeight\tLabel\tX_Min\tY_Min\tX_Max\tY_Max\n"
    + BODY.format("").replace(",", "\t"),
    "filename, width, height, class, xmin, ymin, xmax, ymax\n" + BODY.format("").replace(",", ", "),
    "images/a.jpg,10,20,40,60,cat\nimages/a.jpg,0,0,100,80,big dog\nimages/b.jpg,,,,,\n",
    "C:\\x\\a.jpg,10,20,40,60,cat\nC:\\x\\a.jpg,0,0,100,80,big dog\nb.jpg,,,,,\n",
    "class,image_id,x,y,w,h\ncat,a,10,20,30,40\nbig dog,a,0,0,100,80\n,b,,,,\n",
    "image,label,x,y,width,height\na.jpg,cat,10,20,30,40\na.jpg,big dog,0,0,100,80\nb.jpg,,,,,\n",
    "image_path,label,x_center,y_center,w,h\n"
    "a.jpg,cat,25,40,30,40\na.jpg,big dog,50,40,100,80\nb.jpg,,,,,",
    'image_id,width,height,bbox,class\na,100,80,"[10.0, 20.0, 30.0, 40.0]",cat\n'
    'a,100,80,"[0, 0, 100, 80]",big dog\nb,100,80,,\n',
    "file,class,xmin,ymin,xmax,ymax\na.jpg,cat,.1,.25,.4,.75\na.jpg,big dog,0,0,1,1\nb.jpg,,,,,\n",
    "filename;class;xmin;ymin;xmax;ymax\n"
    "a.jpg;cat;10,0;20,0;40,0;60,0\na.jpg;big dog;0;0;100;80\nb.jpg;;;;;",
    "cat,10,20,30,40,a.jpg,100,80\nbig dog,0,0,100,80,a.jpg,100,80\n,,,,,b.jpg,100,80\n",
    "TRAIN,gs://x/a.jpg,cat,0.1,0.25,,,0.4,0.75,,\n"
    "TRAIN,gs://x/a.jpg,big dog,0,0,,,1,1,,\nTRAIN,b.jpg,,,,,,,,,",
]


@pytest.mark.parametrize("text", TABLES)
@pytest.mark.parametrize("file", ["labels.csv", "annotations/data.CSV"])
def test_headings_and_their_absence(tmp_path, make_image, text, file):
    for name in "ab":
        make_image(tmp_path / "images" / f"{name}.jpg")
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(text, newline="")
    for given in (tmp_path, tmp_path / file):
        dataset = read_dataset(given)
        assert dataset.format == "csv"
        assert dataset.problems == []
        assert dataset.classes == ("big dog", "cat")
        by_name = dict(
            zip([path.name for path in dataset.images], dataset.all_annotations(), strict=True)
        )
        np.testing.assert_allclose(by_name["a.jpg"].boxes, [BOX, [0, 0, 100, 80]], rtol=1e-5)
        assert by_name["a.jpg"].labels.tolist() == [1, 0]
        assert len(by_name["b.jpg"]) == 0


HEAD = "filename,class,xmin,ymin,xmax,ymax\n"


def test_a_file_for_each_part(tmp_path, make_image):
    for split in ("train", "test"):
        make_image(tmp_path / "images" / f"{split}.jpg")
        (tmp_path / f"{split}_labels.csv").write_text(f"{HEAD}{split}.jpg,cat,10,20,40,60\n")
    assert splits(tmp_path) == ["test", "train"]
    assert [path.name for path in read_dataset(tmp_path, "test").images] == ["test.jpg"]
    assert len(read_dataset(tmp_path)) == 2


def test_a_column_of_parts(tmp_path, make_image):
    rows = ""
    for k, split in enumerate(("TRAIN", "TRAIN", "TEST", "")):
        make_image(tmp_path / f"{k}.jpg")
        rows += f"{k}.jpg,cat,10,20,40,60,{split}\n"
    (tmp_path / "all.csv").write_text(HEAD.replace("\n", ",split\n") + rows)
    assert splits(tmp_path) == ["other", "test", "train"]
    assert [path.name for path in read_dataset(tmp_path, "train").images] == ["0.jpg", "1.jpg"]
    assert len(read_dataset(tmp_path)) == 4


def test_flaws_are_reported(tmp_path, make_image):
    make_image(tmp_path / "a.jpg")
    make_image(tmp_path / "c.jpg")
    rows = [
        "a.jpg,cat,10,20,40,60",
        "a.jpg,cat,10,,40,60",
        "a.jpg,cat,10,x,40,60",
        ",cat,1,2,30,40",
    ]
    rows += ["a.jpg,,10,20,40,60", "gone.jpg,cat,10,20,40,60", "a.jpg,cat,40,20,10,60"]
    (tmp_path / "t.csv").write_text(HEAD + "\n".join(rows))
    dataset = read_dataset(tmp_path)
    assert [len(entry) for entry in dataset.all_annotations()] == [1]
    assert sorted(problem.kind for problem in dataset.problems) == [
        *["bad object"] * 4,
        "inverted box",
        "missing image",
    ]
    assert dataset.notes == ["1 of 2 images is not named in the annotations: left out"]


def test_what_a_csv_file_lacks_is_named(tmp_path, make_image):
    make_image(tmp_path / "a.jpg")
    (tmp_path / "t.csv").write_text("filename,class,xmin,ymin\na.jpg,cat,1,2\n")
    with pytest.raises(SppdetError, match=r"t.csv has no column for x2, y2"):
        read_dataset(tmp_path)
    (tmp_path / "t.csv").write_text(f"{HEAD}x.jpg,cat,1,2,30,40\n")
    with pytest.raises(SppdetError, match=r"names 1 image such as x.jpg, but none"):
        read_dataset(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "frame,xmin,xmax,ymin,ymax,class_id\na.jpg,10,40,20,60,cat\n",  # Udacity
        "image_id,category_id,x,y,w,h\na,cat,10,20,30,40\n",
        "Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId;Path\n"  # GTSRB
        "100;80;10;20;40;60;cat;Train/a.jpg\n",
        "sep=;\nfilename;class;xmin;ymin;xmax;ymax\na.jpg;cat;10;20;40;60\n",  # Excel
        "\ufeffSEP=,\r\nfilename,class,xmin,ymin,xmax,ymax\r\na.jpg,cat,10,20,40,60\r\n",
        "filename,xmin,ymin,xmax,ymax,species\na.jpg,10,20,40,60,cat\n",
        "filename,xmin,ymin,xmax,ymax,label_id,label\na.jpg,10,20,40,60,7,cat\n",
    ],
)
def test_further_headings_of_the_class(tmp_path, make_image, text):
    make_image(tmp_path / "a.jpg")
    (tmp_path / "labels.csv").write_text(text, newline="")
    dataset = read_dataset(tmp_path)
    assert dataset.classes == ("cat",)
    np.testing.assert_allclose(dataset.annotations(0).boxes, [BOX])
    assert dataset.notes == []


def test_a_table_without_column_for_the_class_says_so(tmp_path, make_image):
    make_image(tmp_path / "a.jpg")
    (tmp_path / "labels.csv").write_text("file,xmin,ymin,xmax,ymax,what\na.jpg,10,20,40,60,cat\n")
    dataset = read_dataset(tmp_path)
    assert dataset.classes == ("object",)
    assert dataset.notes == ["labels.csv has no column for the class: every object is an «object»"]
