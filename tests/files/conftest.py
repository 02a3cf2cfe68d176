"""What the tests of files share."""

from tests.files.world import world as world
