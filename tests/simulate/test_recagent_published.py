"""The files that were published with the paper, by hand."""

import numpy as np
import pytest

from ethogram.errors import RolesError, SourceError
from ethogram.simulate.recagent import Sandbox
from ethogram.simulate.recagent.published import published

FILES = {
    "users": 'id,name,gender,age,traits,status,interest,feature\n7,Ann,f,30,kind,nurse," war films, comedies",Poster\n'
    "9,Ben,m,40,shy,cook,sci-fi movies,Chatter\n",
    "items": "id,title,genre,description\n0,Tanks,War,Loud.\n1,Jokes,Comedy|War,Short.\n2,Stars,Sci-Fi,Far.\n",
    "relations": "user_1,user_2,relationship,closeness\n7,9,friend,0.9\n9,7,friend,0.2\n",
}


def test_the_published_files_make_a_scene(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    paths = {name: tmp_path / name for name in FILES}
    made = published(**paths, closeness=0.5)
    assert made.kinds == ("Comedy", "Sci-Fi", "War")
    assert made.friends.targets.tolist() == [1]
    root = np.sqrt(0.5)
    np.testing.assert_allclose(made.taste.taste @ made.taste.item.T, 3 * np.array([[root, 1, 0], [0, 0, 1]]), atol=1e-6)
    assert "likes war films" in made.profiles[0]
    assert made.about[2] == "Far."
    Sandbox(made, recommender="random", active=0.9).world().run(2)
    (tmp_path / "relations").write_text(FILES["relations"].replace("9,7", "9,8"))
    with pytest.raises(RolesError, match="no user 8"):
        published(**paths)
    (tmp_path / "items").write_text("id,title\n1,a\n")
    with pytest.raises(RolesError, match="'genre' lacks"):
        published(**paths)
    with pytest.raises(SourceError, match="cannot be read"):
        published(**{**paths, "items": tmp_path / "none"})
