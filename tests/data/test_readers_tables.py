"""The readers of tables, and of zip archives, on small files as upstream writes them."""

import gzip
import io
import zipfile

import numpy as np
import pytest

from augury.data import arrays
from augury.errors import DataError


def test_csv_as_uci_writes_adult(read, tmp_path):
    (tmp_path / "data").write_bytes(b"39, State-gov, 1.5, <=50K\n50, ?, 2, >50K\n\n")
    (tmp_path / "test").write_bytes(b"|1x3 Cross validator\n25, Private, , <=50K.\n")
    fields = read(
        "csv",
        [("train", tmp_path / "data"), ("test", tmp_path / "test")],
        columns=["age", "workclass", "ratio", "income"],
        comment="|",
        skip_blanks=True,
        target="income",
        labels=["<=50K", ">50K"],
        label_suffix=".",
        integers=["age"],
        reals=["ratio"],
    )
    assert list(arrays.ordered(fields)) == [
        *("train/x/age", "train/x/workclass", "train/x/ratio", "train/y"),
        *("test/x/age", "test/x/workclass", "test/x/ratio", "test/y"),
    ]
    assert fields["train/x/age"].dtype == np.int64 and fields["train/x/age"].tolist() == [39, 50]
    assert fields["train/x/workclass"] == ["State-gov", "?"]
    assert fields["train/x/ratio"].tolist() == [1.5, 2.0] and np.isnan(fields["test/x/ratio"]).all()
    assert fields["train/y"].tolist() == [0, 1] and fields["test/y"].tolist() == [0]


def test_csv_with_header_quotes_and_line_breaks_in_a_zip_within_a_zip(read, tmp_path):
    table = '"";"text";"y"\r\n0;" a ""b""; c\nd é";"no"\r\n7;"";"yes"\r\n'
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("bank/full.csv", table.encode())
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("bank.zip", inner.getvalue())
    fields = read(
        "csv",
        [("train", tmp_path / "b.zip")],
        member="bank.zip!bank/full.csv",
        separator=";",
        target="y",
        labels=["no", "yes"],
        drop=[""],
    )
    assert list(fields) == ["train/y", "train/x/text"]
    assert fields["train/x/text"] == [' a "b"; c\nd é', ""] and fields["train/y"].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"a,y\n1,no\n2\n", "data row 2 has 1 values, not 2"),
        (b"a,y\nx,no\n", "invalid literal for int"),
        (b"a,y\n1,maybe\n", "maybe"),
        (b"a,z\n1,no\n", "'y'"),
        (b"a,y\n1,\xff\n", "UnicodeDecodeError"),
        (b"", "IndexError"),
    ],
)
def test_damaged_csv(read, tmp_path, content, cause):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(DataError, match=rf"t\.csv: not the table the registry describes.*{cause}"):
        read("csv", [("train", tmp_path / "t.csv")], target="y", labels=["no", "yes"], integers=["a"])


CELEBA = b"3\nBald Smiling Young\n000001.jpg -1  1  1\n000002.jpg  1 -1  1\n000003.jpg -1  1 -1\n"


def test_celeba_attributes(read, tmp_path):
    (tmp_path / "list.txt").write_bytes(CELEBA)
    fields = read("celeba", [("", tmp_path / "list.txt")], target="Smiling", n_train=2)
    assert fields["train/y"].tolist() == [1, 0] and fields["test/y"].tolist() == [1]
    assert fields["train/x/Bald"].tolist() == [-1, 1] and fields["test/x/Young"].tolist() == [-1]
    assert "train/x/Smiling" not in fields and fields["train/x/Bald"].dtype == np.int8


@pytest.mark.parametrize(
    "content",
    [CELEBA.replace(b"3\n", b"4\n", 1), CELEBA.replace(b"-1\n", b"0\n"), CELEBA.replace(b"Smiling", b"Crying"), b"x\n"],
)
def test_damaged_celeba(read, tmp_path, content):
    (tmp_path / "list.txt").write_bytes(content)
    with pytest.raises(DataError, match=r"list\.txt: not CelebA's attribute list"):
        read("celeba", [("", tmp_path / "list.txt")], target="Smiling", n_train=2)


def test_unknown_reader(read, tmp_path):
    with pytest.raises(DataError, match="the registry names the reader 'parquet'"):
        read("parquet", [("train", tmp_path / "x")])


@pytest.mark.parametrize("escape", ["../evil", "/tmp/evil", "a/../../evil", "..\\evil", "C:/evil"])
@pytest.mark.parametrize("nested", [False, True])
def test_a_zip_with_an_escaping_member_is_refused_whole(read, tmp_path, escape, nested):
    folder = tmp_path / "folder"
    folder.mkdir()
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("t.csv", "a,y\n1,no\n")
        archive.writestr(zipfile.ZipInfo(escape), "evil")
    (folder / "x.zip").write_bytes(content.getvalue())
    if nested:
        with zipfile.ZipFile(folder / "x.zip", "w") as archive:
            archive.writestr("inner.zip", content.getvalue())
    with pytest.raises(DataError, match=r"x\.zip: the member .*evil' points outside the archive.*fetch it again"):
        member = "inner.zip!t.csv" if nested else "t.csv"
        read("csv", [("train", folder / "x.zip")], member=member, target="y", labels=["no"])
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["folder", "x.zip"]


def test_damaged_archives(read, tmp_path):
    options = {"target": "y", "labels": ["no"]}
    table = "a,y\n" + "".join(f"{i},no\n" for i in range(1000))
    path = tmp_path / "y.csv.gz"
    path.write_bytes(gzip.compress(table.encode())[:-30])
    with pytest.raises(DataError, match=r"y\.csv\.gz: damaged archive"):
        read("csv", [("train", path)], **options)
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("t.csv", table)
    with pytest.raises(DataError, match=r"has no file other\.csv"):
        read("csv", [("train", tmp_path / "x.zip")], member="other.csv", **options)
    (tmp_path / "x.zip").write_bytes((tmp_path / "x.zip").read_bytes()[:-30])
    with pytest.raises(DataError, match=r"x\.zip: damaged archive"):
        read("csv", [("train", tmp_path / "x.zip")], member="t.csv", **options)
