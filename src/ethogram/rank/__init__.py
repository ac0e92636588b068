"""Will this person respond to this item now?"""
